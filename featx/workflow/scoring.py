"""`featx.score`: a model and a folder of new images to one row per file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from featx import console
from featx.config import BACKBONE_FIELDS, DatasetConfig, ExtractConfig, ScoreConfig
from featx.data.reader import read_manifest
from featx.errors import UsageError
from featx.extraction import Extraction, Failure, require_all, run_extractors
from featx.files import printable
from featx.formats import check_output, write_rows
from featx.model import Model, load_model
from featx.workflow.extracting import tell_failures
from featx.workflow.options import sections
from featx.workflow.rebuilding import rebuild_extractor
from featx.workflow.sorting import Placement, check_sort_folder, sort_files

__all__ = ["Scores", "score"]

CHUNK_ROWS = 65536  # embeddings of so many images are in memory at once


@dataclass(frozen=True)
class Scores:
    """Predictions for every file, in the manifest's order.

    Attributes
    ----------
    ids : list of str
        Path of each file relative to the images' folder.
    classes : list of str
        The model's classes: the columns of ``probabilities``.
    predictions : ndarray of shape (n_files,), object
        Predicted class, None where the file could not be read.
    probabilities : ndarray of shape (n_files, n_classes), float64
        In [0, 1]; a row of NaN where the file could not be read.
    failures : list of Failure
        Files that could not be read, each with its reason.
    report : dict
        Counts and times of the extraction.
    top_k : int
        How many of the best classes a row names.
    proba : bool
        Whether a row holds every class's probability.
    output : str or None
        File that the rows were written to.
    sorted_into : dict of str to int
        Files placed in each folder by ``sort_into``.
    """

    ids: list[str]
    classes: list[str]
    predictions: np.ndarray
    probabilities: np.ndarray
    failures: list[Failure]
    report: dict[str, Any]
    top_k: int = 1
    proba: bool = False
    output: str | None = None
    sorted_into: dict[str, int] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def columns(self) -> list[str]:
        """Names of the cells of one row."""
        names = ["path", "prediction", "probability"]
        for k in range(2, self.top_k + 1):
            names += [f"prediction_{k}", f"probability_{k}"]
        if self.proba:
            names += [f"p_{name}" for name in self.classes]
        return [*names, "error"]

    def rows(self) -> Iterator[list[Any]]:
        """One row per file, as `columns` names its cells; None where there is nothing to say."""
        reasons = {failure.id: failure.reason for failure in self.failures}
        empty = [None] * (len(self.columns) - 2)
        position = {name: i for i, name in enumerate(self.classes)}
        for i, name in enumerate(self.ids):
            if self.predictions[i] is None:
                yield [name, *empty, reasons[name]]
                continue
            p = self.probabilities[i]
            # the prediction first even where another class ties with it, then by probability
            order = np.argsort(-p, kind="stable")
            first = position[self.predictions[i]]
            best = [first, *(int(k) for k in order if k != first)][: self.top_k]
            row: list[Any] = [name]
            for k in best:
                row += [self.classes[k], float(p[k])]
            if self.proba:
                row += p.tolist()
            yield [*row, None]

    def counts(self) -> dict[str, int]:
        """Predicted class -> number of files; every class of the model, most frequent first."""
        found = Counter(label for label in self.predictions if label is not None)
        return dict(sorted(((c, found[c]) for c in self.classes), key=lambda item: -item[1]))

    def document(self) -> dict[str, Any]:
        """The summary as a JSON document."""
        return {
            "schema_version": 1,
            "images": len(self),
            "scored": len(self) - len(self.failures),
            "quarantined": len(self.failures),
            "classes": self.counts(),
            "output": self.output,
            "sorted_into": self.sorted_into,
            "report": self.report,
            "failures": [{"id": failure.id, "reason": failure.reason} for failure in self.failures],
        }

    def require_all(self) -> None:
        """Raise when any file could not be read.

        Raises
        ------
        QuarantinedError
            With the number and the first of them.
        """
        require_all(self.failures, len(self), hint="The error column of the output names them all.")


def score(
    model: Model | str | os.PathLike[str],
    images: str | os.PathLike[str] | DatasetConfig,
    *,
    output: str | os.PathLike[str] | None = None,
    config: ScoreConfig | None = None,
    extract: ExtractConfig | None = None,
    **options: Any,
) -> Scores:
    """Predict the class of every image of a folder; nothing is left out.

    Embeddings that the cache holds are not computed again; where the cache cannot be written they
    stay in memory.

    Parameters
    ----------
    model : Model or path
        A model, or what `featx.load_model` takes.
    images : path or DatasetConfig
        A folder, with or without subfolders, or a manifest file. Labels are ignored.
    output : path, optional
        ``.csv``, ``.jsonl`` or ``.parquet`` file to write. Default None writes nothing.
    config : ScoreConfig, optional
        What is written; its ``output`` is not read here.
    extract : ExtractConfig, optional
        Cache, device and manners. Of what decides the embedding only ``weights`` is read (a file
        that has moved since the model was fitted); the rest is the model's.
    **options
        Fields of `featx.config.ScoreConfig` and `featx.config.ExtractConfig`, instead of
        ``config`` and ``extract``.

    Returns
    -------
    Scores

    Raises
    ------
    UsageError
        An option makes no sense, or something that exists would be overwritten.
    ModelError
        The model cannot be loaded, or the backbone on this machine is not the one it was fitted
        with; the message says what differs.
    DatasetError, BackboneError, StoreError
        See `featx.extract`.

    Examples
    --------
    >>> scores = featx.score("runs/first", "new_photos/", top_k=3)   # doctest: +SKIP
    >>> scores.predictions[:2]                                       # doctest: +SKIP
    array(['Basophil', 'Monocyte'], dtype=object)
    """
    given = sections(options, ScoreConfig, ExtractConfig)
    config, extract = _one_source(config, extract, given, options)
    loaded = model if isinstance(model, Model) else load_model(model)
    if not isinstance(images, DatasetConfig):
        images = DatasetConfig(dataset=os.fspath(images))
    manifest = read_manifest(images, labelled=False)
    _check_outputs(output, config, images.dataset, manifest.root)
    extractor, extract = rebuild_extractor(loaded, extract, manifest.paths)
    extraction = run_extractors(manifest, [extractor], extract, allow_memory=True)[0]
    for sentence in extraction.report.sentences():
        console.log(sentence)
    tell_failures(extraction)
    scores = _predict(loaded, extraction, config)
    return _write(scores, extraction, output, config)


def _one_source(
    config: ScoreConfig | None,
    extract: ExtractConfig | None,
    given: list[Any],
    options: dict[str, Any],
) -> tuple[ScoreConfig, ExtractConfig]:
    """The settings, which come as sections or as keyword arguments but not as both."""
    if options and (config is not None or extract is not None):
        raise UsageError(
            f"Give config and extract, or single options, not both. Got {', '.join(options)}."
        )
    for name in sorted(BACKBONE_FIELDS & options.keys()):
        raise UsageError(f"{name} is not an option of score: the model's own is used.")
    return config or given[0], extract or given[1]


def _check_outputs(
    output: str | os.PathLike[str] | None, config: ScoreConfig, source: str, root: str
) -> None:
    """Refuse what could not be written, before any work is done."""
    if output is not None:
        check_output(output, overwrite=config.overwrite)
        if Path(output).exists() and Path(output).samefile(source):
            raise UsageError(f"The output {printable(os.fspath(output))!r} is the input.")
    if config.sort_into is not None:
        check_sort_folder(config.sort_into, root, overwrite=config.overwrite)


def _predict(model: Model, extraction: Extraction, config: ScoreConfig) -> Scores:
    """Run the head over the embeddings, a chunk at a time."""
    n_classes = len(model.classes)
    top_k = min(config.top_k, n_classes)
    if top_k < config.top_k:
        console.warn(f"the model has {n_classes} classes, so --top-k {config.top_k} is {top_k}")
    predictions = np.full(len(extraction.manifest), None, dtype=object)
    probabilities = np.full((len(extraction.manifest), n_classes), np.nan)
    ok = np.flatnonzero(extraction.ok)
    for start in range(0, len(ok), CHUNK_ROWS):
        chunk = ok[start : start + CHUNK_ROWS]
        X = extraction.store.gather(extraction.hashes[chunk])
        predictions[chunk] = model.predict(X)
        probabilities[chunk] = model.predict_proba(X)
    return Scores(
        ids=extraction.manifest.ids,
        classes=list(model.classes),
        predictions=predictions,
        probabilities=probabilities,
        failures=extraction.failures,
        report=extraction.report.document(),
        top_k=top_k,
        proba=config.proba,
    )


def _write(
    scores: Scores,
    extraction: Extraction,
    output: str | os.PathLike[str] | None,
    config: ScoreConfig,
) -> Scores:
    """Write the rows and sort the files, as far as asked."""
    if output is not None:
        write_rows(output, scores.columns, scores.rows(), overwrite=config.overwrite)
        console.log(f"{len(scores):,} rows written to {printable(os.fspath(output))}")
        scores = replace(scores, output=os.fspath(output))
    if config.sort_into is not None:
        placements = [
            Placement(row.id, row.path, label)
            for row, label in zip(extraction.manifest.rows, scores.predictions, strict=True)
        ]
        counts = sort_files(config.sort_into, placements, mode=config.sort_mode)
        total = sum(counts.values())
        console.log(f"{total:,} files sorted into {printable(config.sort_into)}")
        scores = replace(scores, sorted_into=counts)
    return scores
