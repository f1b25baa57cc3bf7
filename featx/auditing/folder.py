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
from featx.ours import findings_kind, is_page, is_table

DOCUMENT, PAGE = "audit.json", "audit.html"


def write_audit(folder: Path, found: Audit, results: Mapping[str, Any], page: str) -> None:
    """Write an audit's files into ``folder``, each whole or not at all."""
    make_directory(folder)
    # First: the rest is recognised by it.
    write_atomic(folder / DOCUMENT, json.dumps(results, indent=2, allow_nan=False).encode())
    for name, (columns, rows) in audit_tables(found).items():
        write_rows(folder / f"{name}.csv", columns, rows, overwrite=True)
    write_atomic(folder / PAGE, page.encode("utf-8", "backslashreplace"))


AUDIT = findings_kind(
    "an audit",
    DOCUMENT,
    {"schema_version", "source", "serious", "summary"},
    {PAGE: is_page, **{f"{name}.csv": is_table(columns) for name, columns in TABLES.items()}},
)
