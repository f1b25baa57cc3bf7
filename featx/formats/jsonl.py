"""JSON Lines: one object a row, ASCII, so that any name survives any tool.

Bytes of file names that are not UTF-8 are lone surrogate escapes (``\\udcff`` is byte 0xFF), which
Python's ``os.fsencode`` turns back into the name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from featx.files import atomic_path
from featx.formats._cells import plain_cell


def _cell(value: Any) -> Any:
    value = plain_cell(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with atomic_path(path) as temporary, temporary.open("x", encoding="ascii") as stream:
        for row in rows:
            cells = {c: _cell(v) for c, v in zip(columns, row, strict=True)}
            stream.write(json.dumps(cells) + "\n")


PLUGIN = _write
