"""What an inspection finds in a data set, as records."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from featx.console import counted
from featx.data.manifest import Corrections
from featx.errors import DatasetError, QuarantinedError
from featx.files import printable


@dataclass(frozen=True)
class Extent:
    """Smallest, median and largest of some values."""

    min: int
    median: float
    max: int

    @classmethod
    def of(cls, values: Iterable[int]) -> Extent:
        """Summarise at least one value."""
        ordered = sorted(values)
        return cls(ordered[0], statistics.median(ordered), ordered[-1])


@dataclass(frozen=True)
class Broken:
    """An image that every stage will quarantine, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Duplicates:
    """Images with equal files, or equal pixels in files that differ; see `featx.data.copies`.

    Parameters
    ----------
    sha256 : str
        Of the content of the first, in hexadecimal.
    ids : list of str
        Two or more, in the manifest's order.
    across_classes, across_splits : bool
        Whether they carry different labels, or lie in different splits. If neither, they lie
        within one class (or have no labels).
    equal_files : bool
        All files are equal byte for byte.
    """

    sha256: str
    ids: list[str]
    across_classes: bool
    across_splits: bool
    equal_files: bool

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Groups:
    """How images are grouped.

    Parameters
    ----------
    n_groups : int
    n_images : Extent
        Images in a group.
    straddling : dict
        Groups with images in more than one split -> split -> images.
    """

    n_groups: int
    n_images: Extent
    straddling: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Inspection:
    """Everything `inspect_manifest` found.

    Parameters
    ----------
    source, root : str
        As in the manifest.
    n_images : int
        Rows, broken ones included.
    classes : dict
        Label -> split -> images; split is ``"all"`` where the data set has none.
    n_unlabelled : int
        Rows without a label.
    imbalance_ratio : float, optional
        Images of the largest class for each image of the smallest; None without classes.
    splits : dict
        Split -> images.
    groups : Groups, optional
    width_px, height_px, size_bytes : Extent, optional
        Upright sizes and file sizes of the images that decode; None if none does.
    formats, modes : dict
        Pillow's name, by content -> images.
    broken : list of Broken
    duplicates : list of Duplicates
        Sets of copies that decode; those across splits first, then across classes.
    ignored : dict
        Reason -> files passed over.
    unread : list of str
        Ids of those that may hold images.
    narrow : str, optional
        A sentence where 16-bit files use a small part of their range only.
    elapsed_s : float
    advice : list of str
        One sentence for each thing that would make a result wrong or impossible.
    alike : str, optional
        What to say where all images, or most of them, come out alike.
    corrections : featx.data.manifest.Corrections, optional
        What ``--labels`` changed.
    """

    def __repr__(self) -> str:
        return (
            f"Inspection of {printable(self.source)!r}: {self.n_images:,} images, "
            f"{len(self.classes):,} classes, {len(self.broken):,} broken, "
            f"{len(self.duplicates):,} sets of copies"
        )

    source: str
    root: str
    n_images: int
    classes: dict[str, dict[str, int]]
    n_unlabelled: int
    imbalance_ratio: float | None
    splits: dict[str, int]
    groups: Groups | None
    width_px: Extent | None
    height_px: Extent | None
    size_bytes: Extent | None
    formats: dict[str, int]
    modes: dict[str, int]
    broken: list[Broken]
    duplicates: list[Duplicates]
    ignored: dict[str, int]
    elapsed_s: float
    unread: list[str] = field(default_factory=list)
    narrow: str | None = None
    advice: list[str] = field(default_factory=list)
    alike: str | None = None
    corrections: Corrections | None = None

    def document(self) -> dict[str, Any]:
        """The inspection as a JSON document."""
        found = asdict(replace(self, corrections=None))
        del found["corrections"]
        done = {"corrections": self.corrections.document()} if self.corrections else {}
        return {"schema_version": 1, **found, "passed_over": self.ignored, **done}

    def require_any(self) -> None:
        """Raise `DatasetError` if every image is broken."""
        if len(self.broken) == self.n_images:
            first = self.broken[0]
            raise DatasetError(
                f"None of {self.n_images:,} images can be read, the first "
                f"'{printable(first.id)}': {first.reason}."
            )

    def require_all(self) -> None:
        """Raise `QuarantinedError` if any image is broken, or of a kind that is not read."""
        sentences = []
        if self.broken:
            sentences.append(
                f"{len(self.broken)} of {self.n_images} images cannot be decoded, for instance "
                f"'{printable(self.broken[0].id)}': {self.broken[0].reason}."
            )
        if self.unread:
            sentences.append(
                f"{counted(len(self.unread), 'file')} of types that may hold images but are not "
                f"read, for instance '{printable(self.unread[0])}'."
            )
        if sentences:
            raise QuarantinedError(
                " ".join(sentences),
                hint="Repair or remove them, or go on without --strict: they will be quarantined.",
            )
