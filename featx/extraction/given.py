"""Rows of numbers that were given, as if they had been extracted: what follows takes them so."""

from __future__ import annotations

import hashlib
from itertools import repeat

import numpy as np

from featx.artifact import Model
from featx.config import BACKBONE_FIELDS, DatasetConfig, ExtractConfig
from featx.data.arrays import Arrays, make_arrays, read_arrays
from featx.data.augment import named_augmentation
from featx.data.hashing import PIXEL_HASH_BYTES
from featx.data.kept_columns import Keep
from featx.data.manifest import Manifest, Row
from featx.data.splits import hash_codes
from featx.errors import ModelError, UsageError
from featx.extraction.overlay import OverlayStore
from featx.extraction.result import Extraction
from featx.extraction.views import ViewPlan
from featx.files import printable
from featx.types import (
    ARRAYS,
    BackboneRequest,
    ExtractionReport,
    ExtractorSpec,
    Failure,
    UInt8Array,
)


def given_extraction(arrays: Arrays) -> Extraction:
    """The rows as an extraction; those with NaN or infinity are among its failures.

    Equal rows are exact copies, and so are rows of which the same SHA-256 of an image is known.
    """
    hashes, pixels, of_files = _digests(arrays)
    document = {
        "backbone": ARRAYS,
        "n_features": arrays.X.shape[1],
        "output": [{"layer": "columns", "pooling": "own"}],
        "columns": None if arrays.columns is None else list(arrays.columns),
    }
    others = zip(*arrays.extra.values(), strict=True) if arrays.extra else repeat((), len(arrays))
    rows = zip(arrays.ids, arrays.labels, arrays.groups, arrays.splits, others, strict=True)
    manifest = Manifest(
        root="",
        source=arrays.source,
        rows=tuple(
            Row(name, "", label, group, split, tuple(zip(arrays.extra, other, strict=True)))
            for name, label, group, split, other in rows
        ),
    )
    spec, ok = ExtractorSpec(document), arrays.finite
    store = OverlayStore(None, spec, allow_memory=True)
    store.add(hashes, arrays.X, pixels)
    return Extraction(
        name=ARRAYS,
        spec=spec,
        request=BackboneRequest(ARRAYS).document(),
        manifest=manifest,
        hashes=hashes,
        ok=ok,
        failures=[
            Failure(arrays.ids[i], "", None, "it holds NaN or infinity")
            for i in np.flatnonzero(~ok)
        ],
        report=ExtractionReport(images=len(arrays), quarantined=int((~ok).sum())),
        store=store,
        plan=ViewPlan(named_augmentation("medium", upright=True), 0, np.zeros(len(arrays), bool)),
        hashed="files" if of_files else "rows",
    )


def _digests(arrays: Arrays) -> tuple[UInt8Array, UInt8Array, bool]:
    """A name for the content of each row, what else copies share, and whether names are of files.

    They are where digests of files are known and tell rows of different content apart.
    """
    X = np.ascontiguousarray(arrays.X)
    contents = [hashlib.sha256(row.tobytes()).digest() for row in X]
    rows = np.frombuffer(b"".join(contents), np.uint8).reshape(-1, 32)
    nothing = np.zeros((len(X), PIXEL_HASH_BYTES), np.uint8)
    if arrays.sha256 is None:
        return rows, nothing, False
    n_files = len(np.unique(hash_codes(arrays.sha256)))
    both = np.unique(np.stack([hash_codes(arrays.sha256), hash_codes(rows)]), axis=1).shape[1]
    if n_files == both:
        return arrays.sha256, nothing, True
    return rows, arrays.sha256[:, :PIXEL_HASH_BYTES], False


def arrays_for(model: Model, rows: object) -> Arrays:
    """New rows for a model: a `DatasetConfig` of a file, or an array or frame in memory.

    Columns are found by the names that the model was fitted with, where it knows them.

    Raises
    ------
    ModelError
        The rows have another number of columns than the model takes.
    UsageError, DatasetError, UnknownNameError
        See `featx.data.arrays.make_arrays`.
    """
    names = model.specs[0].document.get("columns") if len(model.specs) == 1 else None
    keep = needed_columns(model)
    if isinstance(rows, DatasetConfig):
        arrays = read_arrays(rows, labelled=False, columns=names, keep=keep)
    else:
        columns = names if hasattr(rows, "columns") else None
        arrays = make_arrays(rows, columns=columns, labelled=False, keep=keep)
    width = arrays.X.shape[1]
    if width != model.n_features:
        backbones = printable(" and ".join(spec.backbone for spec in model.specs))
        raise ModelError(
            f"These rows have {width} columns; the model was fitted on {model.n_features} of "
            f"{backbones}.",
            hint="Give the same columns as in the fit.",
        )
    return arrays


def needed_columns(model: Model) -> Keep:
    """The other columns that the model takes, with what a cell of each may hold."""
    columns = () if model.tabular is None else model.tabular.columns
    return Keep(needed={column.name: str(column) for column in columns})


def refuse_arrays(model: Model) -> None:
    """Refuse to embed images for a model that was fitted on arrays.

    Raises
    ------
    ModelError
    """
    if any(spec.of_arrays for spec in model.specs):
        raise ModelError(
            f"This model was fitted on arrays of {model.n_features} columns, not on images: "
            "featx cannot turn an image into such a row.",
            hint="Score rows: featx score MODEL ROWS.npz (or .h5, .parquet, .csv). To score "
            "folders of images, fit on images: featx fit FOLDER",
        )


def refuse_image_options(config: ExtractConfig, source: str) -> None:
    """Refuse what chooses or changes a backbone where rows of numbers are given.

    Raises
    ------
    UsageError
    """
    for name in sorted(BACKBONE_FIELDS | {"weights", "limit"}):
        default = type(config).model_fields[name].get_default(call_default_factory=True)
        if getattr(config, name) != default:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} applies to images, but '{printable(source)}' holds arrays.")
