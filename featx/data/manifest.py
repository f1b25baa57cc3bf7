"""The manifest: one row for each image, in a fixed order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from featx.data.kinds import Kind
from featx.files import printable

Split = Literal["train", "val", "test"]

#: Names of folders and of values in a split column (any case) that mean a split.
SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
    "dev": "val",
    "holdout": "test",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One image.

    Parameters
    ----------
    id : str
        Path relative to the root, in POSIX form. Bytes that are not UTF-8 are carried as
        surrogate escapes, as `os.fsdecode` does.
    path : str
        Absolute path, usable with ``open``.
    label, group : str, optional
        Class, and what must not straddle folds (a patient, a plot, a camera).
    split : {"train", "val", "test"}, optional
    extra : tuple of (str, str or None)
        Other columns that were asked for, with their values.
    """

    id: str
    path: str
    label: str | None = None
    group: str | None = None
    split: Split | None = None
    extra: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Passed:
    """One file of a folder that is no row.

    Parameters
    ----------
    id : str
        As of a `Row`.
    kind : Kind
    """

    id: str
    kind: Kind


@dataclass(frozen=True)
class Corrections:
    """What files of corrections have changed in a manifest; see `featx.data.corrections`.

    Parameters
    ----------
    files : tuple of str
    decisions : mapping of str to int
        Decision -> how many of them were applied, those that confirm a label included.
    changes : tuple of dict
        What is other than in the data set: ``id``, ``decision`` (relabel, exclude or group),
        ``label`` (in the data set) and ``value``.
    not_applied : tuple of dict
        Decisions about images that have changed since: ``id``, ``decision`` and ``reason``.
    new_classes : tuple of str
        Labels that the data set does not have.
    """

    files: tuple[str, ...]
    decisions: Mapping[str, int]
    changes: tuple[dict[str, str | None], ...]
    not_applied: tuple[dict[str, str], ...]
    new_classes: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """As JSON; names are printable."""
        return {
            "files": [printable(name) for name in self.files],
            "decisions": dict(self.decisions),
            "changes": [_printable(each) for each in self.changes],
            "not_applied": [_printable(each) for each in self.not_applied],
            "new_classes": [printable(name) for name in self.new_classes],
        }


def _printable(values: Mapping[str, str | None]) -> dict[str, str | None]:
    return {key: value and printable(value) for key, value in values.items()}


@dataclass(frozen=True)
class Manifest:
    """Which images there are and what is known of each.

    Parameters
    ----------
    root : str
        Absolute folder that ids are relative to.
    source : str
        The folder or file that the user named.
    rows : tuple of Row
        Sorted by the bytes of the id for folders, in file order for manifest files. Ids are
        unique.
    ignored : mapping of str to int
        Reason -> how many files, folders or repeated rows did not become rows.
    passed : tuple of Passed
        The files among them, sorted by the bytes of their ids.
    remarks : tuple of str
        Sentences for people on what is odd about the folders or the manifest file.
    corrections : Corrections, optional
        What decisions of a person changed in the rows.
    """

    root: str
    source: str
    rows: tuple[Row, ...]
    ignored: Mapping[str, int] = field(default_factory=dict)
    passed: tuple[Passed, ...] = ()
    remarks: tuple[str, ...] = ()
    corrections: Corrections | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ids(self) -> list[str]:
        """Id of each row."""
        return [row.id for row in self.rows]

    @property
    def paths(self) -> list[str]:
        """Absolute path of each row."""
        return [row.path for row in self.rows]

    @property
    def labels(self) -> list[str | None]:
        """Label of each row."""
        return [row.label for row in self.rows]

    @property
    def groups(self) -> list[str | None]:
        """Group of each row."""
        return [row.group for row in self.rows]

    @property
    def splits(self) -> list[Split | None]:
        """Split of each row."""
        return [row.split for row in self.rows]

    def column(self, name: str) -> list[str | None]:
        """Value of each row in a column that was asked for."""
        return [dict(row.extra)[name] for row in self.rows]

    @property
    def classes(self) -> list[str]:
        """The labels there are, sorted, each once."""
        return sorted({row.label for row in self.rows if row.label is not None})

    @property
    def labelled(self) -> bool:
        """Whether every row has a label."""
        return all(row.label is not None for row in self.rows)

    @property
    def grouped(self) -> bool:
        """Whether rows have groups (all do, or none)."""
        return any(row.group is not None for row in self.rows)

    @property
    def unread(self) -> list[Passed]:
        """The files of other kinds that may hold images: as bad as quarantined ones."""
        return [passed for passed in self.passed if passed.kind.image]

    def head(self, n: int) -> Manifest:
        """The same manifest with its first ``n`` rows only."""
        return replace(self, rows=self.rows[:n])
