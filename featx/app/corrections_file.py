"""Decisions about a run's images, written to ``corrections.csv`` as they are made."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from featx.data.corrections import COLUMNS
from featx.data.listed import as_listed
from featx.data.table import read_table
from featx.errors import DatasetError
from featx.files import printable
from featx.formats import write_rows
from featx.ours import FileKind, is_table
from featx.system_errors import writing

CORRECTIONS = FileKind("a table of corrections", is_table(COLUMNS))
DECISIONS = ("right", "relabel", "exclude", "group")


@dataclass(frozen=True)
class Made:
    """One decision, as docs/corrections.md has it: a row of the file."""

    id: str
    sha256: str
    label: str
    decision: str
    value: str


class CorrectionsFile:
    """The file, whole after every change; what it holds already is kept.

    Parameters
    ----------
    path : Path
        Need not exist.
    ids : sequence of str
        Of the run's images.

    Raises
    ------
    DatasetError
        The file that is there is not a table of corrections.
    """

    def __init__(self, path: Path, ids: Sequence[str]) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._made: dict[tuple[str, bool], Made] = {}  # by the id, and whether it is a group
        if path.exists() and path.stat().st_size:
            for made in _read(path, set(ids)):
                self._made[made.id, made.decision == "group"] = made

    def __len__(self) -> int:
        return len(self._made)

    def of(self, name: str) -> list[Made]:
        """The decisions about an image: none, one, or one and the group that it belongs to."""
        found = (self._made.get((name, group)) for group in (False, True))
        return [made for made in found if made is not None]

    def mark(self, name: str) -> str:
        """What stands for the decisions about an image; another where they are others."""
        return "|".join(f"{made.decision}={made.value}" for made in self.of(name))

    def set(self, decided: Iterable[Made], cleared: Iterable[str] = ()) -> None:
        """Add decisions, each in the place of an earlier one of its kind, and take some back.

        Raises
        ------
        OSError
            The file cannot be written; it stays as it was, and so does this.
        """
        with self._lock:
            changed = dict(self._made)
            for name in cleared:
                for group in (False, True):
                    changed.pop((name, group), None)
            for made in decided:
                changed[made.id, made.decision == "group"] = made
            self._write(changed)
            self._made = changed

    def _write(self, made: Mapping[tuple[str, bool], Made]) -> None:
        rows = [[getattr(one, name) for name in COLUMNS] for one in made.values()]
        with writing("corrections", self.path):
            write_rows(self.path, COLUMNS, rows, overwrite=True)

    def document(self) -> list[dict[str, str]]:
        """All decisions."""
        return [asdict(made) for made in self._made.values()]


def _read(path: Path, ids: set[str]) -> list[Made]:
    """The rows of a file of corrections; names are as the run has them."""
    table = read_table(str(path))
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise DatasetError(
            f"'{printable(str(path))}' is not a table of corrections: it has no column "
            f"{missing[0]}.",
            hint="Name another file with -o.",
        )
    found = []
    for record in table.records:
        cells = {name: str(record.values.get(name) or "") for name in COLUMNS}
        if cells["decision"] in DECISIONS:
            cells["id"] = as_listed(cells["id"], ids) or cells["id"]
            cells = {name: cell.removeprefix("'") if name in ("label", "value") else cell
                     for name, cell in cells.items()}  # fmt: skip
            found.append(Made(**cells))
    return found
