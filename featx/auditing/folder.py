"""An audit on disk: a page, a document, and a table of each kind of finding."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featx.auditing.audit import Audit
from featx.auditing.document import TABLES, audit_tables
from featx.files import make_directory, write_atomic
from featx.formats import write_rows
from featx.ours import FolderKind, is_page, is_table, read_json

DOCUMENT, PAGE = "audit.json", "audit.html"
FILES = frozenset({PAGE, DOCUMENT, *(f"{name}.csv" for name in TABLES)})


def write_audit(folder: Path, found: Audit, results: Mapping[str, Any], page: str) -> None:
    """Write an audit's files into ``folder``, each whole or not at all."""
    make_directory(folder)
    # First: the rest is recognised by it.
    write_atomic(folder / DOCUMENT, json.dumps(results, indent=2, allow_nan=False).encode())
    for name, (columns, rows) in audit_tables(found).items():
        write_rows(folder / f"{name}.csv", columns, rows, overwrite=True)
    write_atomic(folder / PAGE, page.encode("utf-8", "backslashreplace"))


def _is_audit(folder: Path) -> bool:
    """Whether it has an audit's document, and files of an audit's names are of an audit."""
    document = read_json(folder / DOCUMENT)
    if not {"schema_version", "source", "serious", "summary"} <= document.keys():
        return False
    tables = {f"{name}.csv": is_table(columns) for name, columns in TABLES.items()}
    known = {**tables, PAGE: is_page}
    return all(known[p.name](p) for p in folder.iterdir() if p.name in known)


#: Its files are replaced one by one: others in the folder stay.
AUDIT = FolderKind(
    "an audit",
    _is_audit,
    lambda folder: FILES.__contains__,
    room_bytes=1 << 21,
    in_place=True,
)
