"""`featx.count`: images of each class in a folder, corrected for the model's errors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featx import console
from featx.artifact import Model, load_model
from featx.config import BACKBONE_FIELDS, CountConfig, DatasetConfig, ExtractConfig, ScoreConfig
from featx.config.keywords import keywords, read_options
from featx.data.manifest import Manifest
from featx.data.opening import open_data
from featx.errors import DatasetError, NoRunError, UsageError
from featx.extraction import require_any
from featx.extraction.used import check_cache, used_by
from featx.files import printable
from featx.formats import table_output, write_claimed
from featx.labelling.exchange import read_labels
from featx.ours import FileKind, is_page, is_table
from featx.outputs import Claims, Output, Used, claimed
from featx.runs import Run, load_run
from featx.scoring.audit_file import AUDIT, Audited, audit_rows, read_audit
from featx.scoring.audit_file import COLUMNS as AUDIT_COLUMNS
from featx.scoring.counted_folder import CountedFolder, CountedImages
from featx.scoring.counting import COLUMNS, FIRST_COLUMNS, Counts
from featx.scoring.drift import image_blocks, known_groups
from featx.scoring.folder import extract_again, predict_rows
from featx.scoring.label_shift import check_shift
from featx.scoring.new_classes import name_new_classes
from featx.stats.counting import Reference
from featx.types import SITES

COUNTS = FileKind("a table of counts", is_table(FIRST_COLUMNS))
PAGE = FileKind("a page", is_page)
#: Predictions of a run that say how its model errs, what says most of new images first.
JUDGED = (SITES, "evaluated", "folds", "oof", "test", "holdout")
KEPT = "What is in the cache is kept."


@keywords(
    DatasetConfig,
    CountConfig,
    ExtractConfig,
    leave_out={ExtractConfig: BACKBONE_FIELDS},
    instead="the model's own is used",
)
def count(
    model: Model | Run | str | os.PathLike[str],
    dataset: str | os.PathLike[str],
    **options: Any,
) -> Counts:
    """Count the images of each class in a new folder, with intervals.

    Parameters
    ----------
    model : Model, Run or path
        A run, whose out-of-fold predictions say how its model errs; a model alone needs an audit.
    dataset : path
        A folder of new images or a manifest; labels are ignored.
    **options

    Returns
    -------
    Counts
        Whole numbers that add up to the images that could be read, with 95 % intervals between 0
        and that number; ``parts`` has the folder and every value of ``by``.

    Raises
    ------
    UsageError
        An option is invalid, there is a model without its run and no audit, or an output exists.
    ModelError, RunError
        The model or the run cannot be read.
    DatasetError, BackboneError, StoreError
        See `featx.extract`; also where ``audited`` names other images, other classes, or none.

    Examples
    --------
    >>> counts = featx.count("runs/first", "september/", by="folder:0")    # doctest: +SKIP
    >>> counts.whole.classes[0]                                            # doctest: +SKIP
    ClassCount(name='deer', predicted=412, count=388, low=371, high=404, audited=0, labelled=0)
    """
    data, config, extract = read_options(count, dataset=dataset, **options)
    return count_images(model.folder if isinstance(model, Run) else model, data, config, extract)


def count_images(
    model: Model | str | os.PathLike[str],
    data: DatasetConfig,
    config: CountConfig,
    extract: ExtractConfig,
) -> Counts:
    """`count` from checked sections."""
    if config.audit is not None and config.audited is not None:
        raise UsageError(
            "--audit draws images to be labelled and --audited reads the labels: give one of them."
        )
    audited = None if config.audited is None else read_audit(config.audited)
    if config.new_class and not (config.audited or config.labelled):
        raise UsageError(
            "--new-class names a label, and no labels are read: give --audited or --labelled."
        )
    loaded, reference, judged, labels = _opened(model)
    if reference is None and audited is None and config.audit is None:
        raise UsageError(
            "This model comes without its run, whose out-of-fold predictions say how it errs.",
            hint="Give the run's folder, or label a sample: --audit 200.",
        )
    outputs = _outputs(config)
    used = used_by(data, extract, model=model)
    used += [Used("the file of --audited", config.audited)] if config.audited else []
    used += [Used("the file of --labelled", path) for path in config.labelled]
    with claimed(outputs, used) as claims:
        manifest = open_data(data, labelled=False, grouped="group" in config.by, keep=config.by)
        claims.spare("the images", manifest.paths)
        check_cache(manifest, extract.cache)
        known = _Known(labels, config.labelled)
        counting = _Counting(loaded, reference, judged, known, data, config, extract, audited)
        counts, tables = counting.of(manifest)
        return _written(counts, tables, config, claims)


@dataclass(frozen=True)
class _Known:
    """Where labels of images may be known from."""

    run: Mapping[str, str]  # by the start of the SHA-256 of a file
    files: Sequence[str]


@dataclass(frozen=True)
class _Counting:
    """One call of `count`, once its outputs are claimed."""

    model: Model
    reference: Reference | None
    judged: str
    known: _Known
    data: DatasetConfig
    config: CountConfig
    extract: ExtractConfig
    audited: Audited | None

    @property
    def seed(self) -> int:
        """Of all draws; that of an audit draws the same images again."""
        return self.config.seed if self.audited is None else self.audited.seed

    def of(self, manifest: Manifest) -> tuple[Counts, list[list[Any]]]:
        """The counts, and the rows of the audit where one is drawn."""
        config, audited = self.config, self.audited
        groups = known_groups(self.data)
        extractions = extract_again(self.model, manifest, ScoreConfig(), self.extract)
        require_any(extractions[0].failures, len(manifest))
        scores = predict_rows(self.model, extractions, ScoreConfig())
        read = np.flatnonzero(scores.y_pred >= 0)
        blocks, _ = image_blocks(extractions[0], groups)
        ids = [scores.ids[i] for i in read.tolist()]
        contents = [sha[:8].tobytes().hex() for sha in extractions[0].hashes[read]]
        known = _known(ids, [manifest.rows[i].path for i in read.tolist()], contents, self.known)
        named = [] if audited is None else audited.named(self.model.classes)
        labels = [*known.values(), *filter(None, named)]
        new = name_new_classes(labels, self.model.classes, config.new_class)
        classes = [*self.model.classes, *new]
        codes = np.full(len(read), -1)
        codes[list(known)] = [classes.index(label) for label in known.values()]
        images = CountedImages(ids, scores.probabilities[read], scores.y_pred[read], blocks, codes)
        size = audited.size if audited else config.audit
        folder = CountedFolder(images, classes, self.reference, size, audited, self.seed)
        unsafe, checks = check_shift(
            self.model, extractions, scores, blocks, self.reference,
            folder.draws[:, : len(self.model.classes)],
        )  # fmt: skip
        columns = {name: [manifest.column(name)[i] for i in read.tolist()] for name in config.by}
        n_audited = len(folder.labelled[0])
        counts = Counts(
            source=self.data.dataset,
            classes=classes,
            method=self._method(n_audited),
            parts=tuple(folder.parts(columns)),
            unread=len(scores.failures) + len(manifest.unread),
            unsafe=() if audited else unsafe,
            checks=checks,
            audited=n_audited,
            unlabelled=0 if audited is None else audited.size - n_audited,
            labelled=len(known),
            new_classes=new,
        )
        return counts, self._audit_rows(folder) if config.audit is not None else []

    def _method(self, n_audited: int) -> str:
        """How the counts were corrected, in words."""
        if self.audited is not None:
            n = console.counted(n_audited, "image")
            return f"Labels of {n}, drawn in strata, combined with the predictions for the others"
        if self.reference is None:
            return "Predictions as they are, without a correction: label the audit to have one"
        return f"Corrected for the model's errors on {self.judged}"

    def _audit_rows(self, folder: CountedFolder) -> list[list[Any]]:
        """The rows of ``audit.csv``."""
        assert folder.design is not None
        free, images = folder.free, folder.images
        ids, sure = [images.ids[i] for i in free.tolist()], images.proba[free].max(axis=1)
        y_pred, classes = images.y_pred[free], self.model.classes
        return list(audit_rows(folder.design, ids, classes, y_pred, sure, self.seed))


def _opened(
    source: Model | str | os.PathLike[str],
) -> tuple[Model, Reference | None, str, dict[str, str]]:
    """A model, how it errs, on which images that is known, and labels; None without its run."""
    if isinstance(source, Model):
        return source, None, "", {}
    try:
        run = load_run(source)
    except NoRunError:
        return load_model(source), None, "", {}
    levels = {**run.predictions, **run.levels}
    name = next((name for name in JUDGED if name in levels), None)
    if name is None:
        return run.model, None, "", _labels_of(run)
    found = levels[name]
    unit = np.arange(len(found)) if found.unit is None else found.unit
    told = {"test": "the test split", "holdout": "the images held out",
            "evaluated": "labelled images that came later"}  # fmt: skip
    images = console.counted(len(found), "image")
    judged = f"{told.get(name, 'held-out folds')} ({images})"
    return run.model, Reference.of(found.y, found.proba, unit), judged, _labels_of(run)


def _known(
    ids: Sequence[str], paths: Sequence[str], contents: Sequence[str], known: _Known
) -> dict[int, str]:
    """Labels that images have already, by their rows: of files, else of the run's images."""
    found = {row: known.run[sha] for row, sha in enumerate(contents) if sha in known.run}
    place = {id: row for row, id in enumerate(ids)}
    for source in known.files:
        read = read_labels(source, ids, paths)
        if not read.labels:
            raise DatasetError(
                f"'{printable(source)}' has no label of an image of this folder that can be read.",
                hint="Images are found by path, by id, or by name where only one image has it.",
            )
        if read.unknown:
            n = console.counted(len(read.unknown), "name")
            console.warn(
                f"{n} in '{printable(source)}' matched no image of this folder, or several, for "
                f"instance '{printable(read.unknown[0])}'."
            )
        found |= {place[id]: label for id, label in read.labels.items()}
    return found


def _labels_of(run: Run) -> dict[str, str]:
    """Labels of a run's images by the start of their files' SHA-256; without contradictions."""
    found: dict[str, set[str]] = {}
    for part in run.predictions.splits.values():
        for sha, y in zip(() if part.content is None else part.content, part.y, strict=False):
            found.setdefault(str(sha), set()).add(run.model.classes[y])
    return {sha: names.pop() for sha, names in found.items() if len(names) == 1}


def _outputs(config: CountConfig) -> list[Output]:
    found = []
    if config.audit is not None:
        if not config.audit_file.lower().endswith(".csv"):
            raise UsageError(f"--audit-file '{printable(config.audit_file)}' must end in .csv.")
        found.append(Output(config.audit_file, "--audit-file", AUDIT, config.overwrite))
    found += table_output(config.output, COUNTS, config.overwrite)
    if config.report is not None:
        found.append(Output(config.report, "--report", PAGE, config.overwrite))
    return found


def _written(counts: Counts, audit: list[list[Any]], config: CountConfig, claims: Claims) -> Counts:
    """The counts, once all files are written."""
    if config.audit is not None:
        place = write_claimed(
            claims, config.audit_file, AUDIT_COLUMNS, audit, what="the audit", kept=KEPT
        )
        counts = replace(counts, audit=place, drawn=len(audit))
    if config.output is not None:
        place = write_claimed(claims, config.output, COLUMNS, counts.rows(), kept=KEPT)
        counts = replace(counts, output=place)
    if config.report is not None:
        from featx.reporting.count_page import write_count_page  # draws: imported where it is used

        counts = write_count_page(counts, claims.place(config.report))
    return counts
