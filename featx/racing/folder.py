"""A race on disk: a page, a document and a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featx.errors import UsageError
from featx.files import make_directory, printable, write_atomic
from featx.formats import write_rows
from featx.ours import findings_kind, is_page, is_table, read_json
from featx.racing.document import COLUMNS, race_rows

DOCUMENT, PAGE, TABLE = "race.json", "race.html", "race.csv"
_KEYS = {"schema_version", "source", "winner", "rows", "drawn", "rounds"}


def write_race(folder: Path, document: Mapping[str, Any], page: str) -> None:
    """Write a race's files into ``folder``, each whole or not at all."""
    make_directory(folder)
    # First: the rest is recognised by it.
    write_atomic(folder / DOCUMENT, json.dumps(document, indent=2, allow_nan=False).encode())
    write_rows(folder / TABLE, COLUMNS, race_rows(document), overwrite=True)
    write_atomic(folder / PAGE, page.encode("utf-8", "backslashreplace"))


def read_race(folder: str) -> dict[str, Any]:
    """The document of a finished race.

    Raises
    ------
    UsageError
        The folder holds none.
    """
    document = read_json(Path(folder) / DOCUMENT)
    if not document.keys() >= _KEYS:
        raise UsageError(
            f"{printable(folder)!r} is not a race: it has no {DOCUMENT} that featx wrote.",
            hint="Give the folder that `featx race DATASET -o FOLDER` wrote.",
        )
    return document


RACE = findings_kind("a race", DOCUMENT, _KEYS, {TABLE: is_table(COLUMNS), PAGE: is_page})
