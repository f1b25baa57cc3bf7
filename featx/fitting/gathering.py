"""What lies between extractions and a fit: aligned arrays in, a model out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from featx import console
from featx.artifact import Model, ModelExtractor
from featx.artifact.seen import Seen
from featx.artifact.tabular import Tabular
from featx.config import RunConfig
from featx.data.copies import EqualImages, copies_document
from featx.data.hashing import PIXEL_HASH_BYTES
from featx.data.manifest import Manifest
from featx.errors import FitError
from featx.extraction import Extraction, copies_of
from featx.files import printable
from featx.fitting.data import FitData
from featx.fitting.result import FitResult
from featx.fitting.tabular import tabular_block
from featx.runs.extracted import Corrected, Dataset
from featx.runs.predictions import text_column


@console.stage("Gathering embeddings")
def gather(
    extractions: Sequence[Extraction],
    *,
    columns: Sequence[str] = (),
    tabular: Tabular | None = None,
) -> FitData:
    """Aligned arrays of every embedding, for `featx.fitting.fit_heads`.

    Parameters
    ----------
    extractions : sequence of Extraction
    columns : sequence of str
        Columns that predictions are to have.
    tabular : Tabular, optional
        Columns to fit on.

    Raises
    ------
    FitError
        No image could be read.
    """
    first = extractions[0]
    if first.failures and not first.ok.any():
        worst = first.failures[0]
        raise FitError(
            f"None of {len(first.ok):,} images could be read, the first at "
            f"{printable(worst.path)!r}: {worst.reason}.",
            hint="Paths in a manifest are relative to its own folder; --root names another.",
        )
    return FitData(
        X={extraction.name: extraction.X for extraction in extractions},
        y=first.y,
        ids=[str(name) for name in first.ids],
        hashes=first.hashes[first.ok],
        copies=copies_of(extractions),
        groups=filled_column(first.groups, "group", ("", "forms its own group")),
        splits=filled_column(first.splits, "split", ("train", "is used for training")),
        views={e.name: e.views for e in extractions} if first.plan.n_views else {},
        given=first.spec.of_arrays,
        columns=kept_columns(first, columns),
        tabular=None if tabular is None else tabular_block(first, tabular),
    )


def kept_columns(extraction: Extraction, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Some columns of the manifest, of the images that were read."""
    rows = extraction.manifest.rows
    place = {row.id: dict(row.extra) for row in rows}
    ids = [str(name) for name in extraction.ids]
    return {name: text_column([place[i][name] for i in ids]) for name in names}


def filled_column(
    values: np.ndarray, name: str, missing_means: tuple[str, str]
) -> np.ndarray | None:
    """The column as text, or None where no row has a value; warns what a gap means."""
    missing = np.array([value is None for value in values], bool)
    if missing.all():
        return None
    if missing.any():
        fill, meaning = missing_means
        console.warn(
            f"{console.counted(int(missing.sum()), 'image', 'has/have')} no {name}; each {meaning}"
        )
        values = np.where(missing, fill, values)
    return values.astype(str)


def labelled(manifest: Manifest) -> Manifest:
    """The labelled rows; a warning tells how many are left out."""
    if not manifest.classes:
        raise FitError(
            f"{printable(manifest.source)!r} has no labels, and fit needs them.",
            hint="Give a folder with one subfolder per class, or a manifest, and name its label "
            "column with --label-column.",
        )
    kept = replace(manifest, rows=tuple(row for row in manifest.rows if row.label is not None))
    if len(kept) < len(manifest):
        without = console.counted(len(manifest) - len(kept), "image")
        console.warn(f"{without} without a label: left out of the fit")
    return kept


def content_digest(extraction: Extraction) -> str:
    """SHA-256 of the names, contents and labels of all images that were read, in any order."""
    rows = zip(extraction.ids, extraction.y, extraction.hashes[extraction.ok], strict=True)
    lines = sorted(f"{name}\0{label}\0{sha.tobytes().hex()}\n" for name, label, sha in rows)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def describe_dataset(
    source: str, manifest: Manifest, extraction: Extraction, equal: Sequence[EqualImages]
) -> Dataset:
    """The images that a run was made of, as its results have them."""
    labels = Counter(str(label) for label in manifest.labels)
    extra: dict[str, Any] = {"hashed": "rows"} if extraction.hashed == "rows" else {}
    if (done := manifest.corrections) is not None:
        extra["corrections"] = Corrected(**done.document())
    return Dataset(
        source=printable(source),
        images=len(manifest),
        classes={printable(name): labels[name] for name in sorted(labels)},
        quarantined=len(extraction.failures),
        passed_over=dict(manifest.ignored),
        exact_copies=copies_document(equal),
        sha256=content_digest(extraction),
        **extra,
    )


def resting_on(extractions: Sequence[Extraction], backbones: tuple[str, ...]) -> list[Extraction]:
    """Those whose embeddings a candidate reads."""
    return [e for e in extractions if e.name in backbones]


def fitted_model(
    config: RunConfig,
    extractions: Sequence[Extraction],
    result: FitResult,
    tabular: Tabular | None = None,
) -> Model:
    """The model that a fit on the embeddings of these extractions, and on columns, gives."""
    return Model(
        classes=list(result.classes),
        head=result.pipeline,
        extractors=[
            ModelExtractor(dict(e.spec.document), _portable(e.request)) for e in extractions
        ],
        temperature=result.temperature,
        tabular=tabular if result.chosen.tabular else None,
        trust=result.trust.trust,
        novelty=result.trust.novelty,
        drift=result.trust.drift,
        operating=result.trust.operating,
        seen=seen_images(extractions, result.held[0].part.hashes),
        augmentation=extractions[0].plan.made_by,
        metrics=result.estimate.document(),
        provenance={
            "dataset": printable(config.data.dataset),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "n_images": int(extractions[0].ok.sum()),
            "n_quarantined": len(extractions[0].failures) + len(extractions[0].manifest.unread),
            "seed": config.fit.seed,
            "scoring": result.settings["scoring"],
            "chosen": result.chosen.document(),
        },
    )


def known_pixels(extractions: Sequence[Extraction], hashes: np.ndarray) -> np.ndarray:
    """Hashes of the pixels of the images with these contents, as far as any extractor has them.

    Shape (n, 16), uint8; zeros where they are not known.
    """
    pixels = np.zeros((len(hashes), PIXEL_HASH_BYTES), np.uint8)
    for extraction in extractions:
        missing = np.flatnonzero(~pixels.any(axis=1))
        pixels[missing] = extraction.store.pixels(hashes[missing])
    return pixels


def seen_images(extractions: Sequence[Extraction], hashes: np.ndarray) -> Seen:
    """Digests of the images with these contents, which took part in making a model."""
    return Seen.of(hashes, known_pixels(extractions, hashes))


def _portable(request: dict[str, Any]) -> dict[str, Any]:
    """The request with its weights file findable from any working directory."""
    weights = request["weights"]
    return {**request, "weights": weights and str(Path(weights).absolute())}
