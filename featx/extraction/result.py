"""What an extraction hands back: aligned rows, and failures by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from featx.data.copies import EqualImages, copy_codes, equal_sets
from featx.data.manifest import Manifest, Passed
from featx.data.passed import unread_sentence
from featx.data.splits import link_components
from featx.errors import DatasetError, QuarantinedError
from featx.extraction.overlay import OverlayStore
from featx.extraction.views import ViewPlan
from featx.files import printable
from featx.types import ExtractionReport, ExtractorSpec, Failure


@dataclass
class Extraction:
    """Embeddings of one manifest under one extractor.

    Attributes
    ----------
    name : str
        Backbone and output, as shown in tables.
    manifest : Manifest
        All rows asked for, quarantined ones included.
    hashes : ndarray of shape (n_rows, 32), uint8
        SHA-256 of each file's bytes; zeros where a file could not be read.
    ok : ndarray of shape (n_rows,), bool
        Rows that have an embedding. ``X``, ``ids``, ``y``, ``groups`` and ``splits`` hold just
        these, in the manifest's order.
    failures : list of Failure
        The other rows, each with its reason.
    plan : ViewPlan
        Which augmented views there are of which images.
    hashed : {"files", "rows"}, default "files"
        What ``hashes`` are of: the rows of numbers themselves where those were given.
    """

    name: str
    spec: ExtractorSpec
    request: dict[str, Any]
    manifest: Manifest
    hashes: np.ndarray
    ok: np.ndarray
    failures: list[Failure]
    report: ExtractionReport
    store: OverlayStore = field(repr=False)
    plan: ViewPlan = field(repr=False)
    hashed: Literal["files", "rows"] = "files"

    def __repr__(self) -> str:
        unread = f", {len(self.failures):,} not read" if self.failures else ""
        return printable(
            f"Extraction by {self.name}: {len(self.manifest):,} images{unread}, "
            f"{self.spec.n_features:,} features"
        )

    @property
    def X(self) -> np.ndarray:
        """Embeddings, shape (n_ok, n_features), float32; read from the store at each access."""
        return self.store.gather(self.hashes[self.ok])

    @property
    def copies(self) -> np.ndarray:
        """Numbers that exact copies among the rows of ``X`` share, shape (n_ok,), int64."""
        return copies_of([self])

    @property
    def equal(self) -> list[EqualImages]:
        """The sets of exact copies among the rows of ``X``."""
        hashes = self.hashes[self.ok]
        return equal_sets(self.copies, hashes, self.y.tolist(), self.splits.tolist())

    @property
    def views(self) -> np.ndarray:
        """Embeddings of augmented views of the rows of ``X``, read at each access.

        Shape (n_ok, n_views, n_features), float32. Images of the test split have none: NaN.
        """
        rows = np.flatnonzero(self.ok)
        found = np.empty((len(rows), self.plan.n_views, self.spec.n_features), np.float32)
        for k in range(self.plan.n_views):
            found[:, k] = self.gather_view(rows, k)
        return found

    def gather_view(self, rows: np.ndarray, k: int) -> np.ndarray:
        """View ``k``, from 0, of some rows of the manifest that have an embedding; as ``X``."""
        wanted = self.plan.wanted[rows]
        found = np.full((len(rows), self.spec.n_features), np.nan, np.float32)
        names = [self.plan.name(self.hashes[i].tobytes(), k) for i in rows[wanted]]
        if names:
            digests = np.frombuffer(b"".join(names), np.uint8).reshape(-1, 32)
            found[wanted] = self.store.gather(digests)
        return found

    @property
    def ids(self) -> np.ndarray:
        """Ids of the rows of ``X``, shape (n_ok,), str."""
        return self._kept(self.manifest.ids)

    @property
    def y(self) -> np.ndarray:
        """Labels of the rows of ``X``, shape (n_ok,): str, or object with None where missing."""
        return self._kept(self.manifest.labels)

    @property
    def groups(self) -> np.ndarray:
        """Groups of the rows of ``X``, like ``y``."""
        return self._kept(self.manifest.groups)

    @property
    def splits(self) -> np.ndarray:
        """``train``, ``val`` or ``test`` of the rows of ``X``, like ``y``."""
        return self._kept(self.manifest.splits)

    def document(self) -> dict[str, Any]:
        """Counts, times and failures as a JSON document; embeddings stay in the store."""
        return {
            "name": self.name,
            "n_features": self.spec.n_features,
            "fingerprint": self.spec.fingerprint,
            "store": self.spec.folder,
            "views": self.plan.document(),
            "report": self.report.document(),
            "failures": [asdict(failure) for failure in self.failures],
            "passed_over": dict(self.manifest.ignored),
        }

    def require_all(self) -> None:
        """Raise when any image was quarantined.

        Raises
        ------
        QuarantinedError
            With the number and the first of them. Files of kinds that may hold images and are
            not read count too.
        """
        hint = "featx inspect lists all broken files."
        if not self.failures:
            hint = "Convert them to a supported format, or move them elsewhere."
        require_all(self.failures, len(self.manifest), hint=hint, unread=self.manifest.unread)

    def require_any(self) -> None:
        """Raise when no image could be read, after the reasons were printed.

        Raises
        ------
        DatasetError
            With the number and the first of them.
        """
        require_any(self.failures, len(self.manifest))

    def _kept(self, values: Sequence[str | None]) -> np.ndarray:
        kept = [value for value, keep in zip(values, self.ok, strict=True) if keep]
        return np.array(kept, dtype=object if None in kept else str)


def joined_embeddings(extractions: Sequence[Extraction], rows: np.ndarray) -> np.ndarray:
    """Embeddings of some rows of the manifest, which all have one, by each extractor in turn.

    Shape (n, n_features), float32.
    """
    columns = [e.store.gather(e.hashes[rows]) for e in extractions]
    return columns[0] if len(columns) == 1 else np.hstack(columns)


def copies_of(extractions: Sequence[Extraction]) -> np.ndarray:
    """Numbers that exact copies among the images share, by all that several extractors know.

    See `featx.data.copies.copy_codes`.
    """
    first = extractions[0]
    hashes = first.hashes[first.ok]
    codes = []
    for extraction in extractions:
        pixels = extraction.store.pixels(hashes)
        X = (extraction.X for _ in range(int(not pixels.any(axis=1).all())))
        codes.append(copy_codes(hashes, pixels, X))
    return link_components(*codes)


def require_all(
    failures: Sequence[Failure], n_images: int, *, hint: str, unread: Sequence[Passed] = ()
) -> None:
    """Raise `QuarantinedError`, naming the first, when there are failures or unread files."""
    sentences = []
    if failures:
        first = failures[0]
        sentences.append(
            f"{len(failures)} of {n_images} images were quarantined, the first "
            f"{printable(first.id)}: {first.reason}."
        )
    if unread:
        sentences.append(unread_sentence(unread))
    if sentences:
        raise QuarantinedError(" ".join(sentences), hint=hint)


def require_any(failures: Sequence[Failure], n_images: int) -> None:
    """Raise `DatasetError`, naming the first, when every image is among the failures."""
    if failures and len(failures) == n_images:
        first = failures[0]
        raise DatasetError(
            f"None of {n_images:,} {'images' if n_images > 1 else 'image'} could be read, the "
            f"first '{printable(first.id)}': {first.reason}."
        )
