"""`featx.count`: images of each class in a folder, corrected for the model's errors."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featx import console
from featx.artifact import Model, load_model
from featx.config import BACKBONE_FIELDS, CountConfig, DatasetConfig, ExtractConfig, ScoreConfig
from featx.config.keywords import keywords
from featx.config.options import LeaveOut, sections
from featx.data.group_from import path_part
from featx.data.manifest import Manifest
from featx.data.opening import open_data
from featx.errors import NoRunError, UsageError
from featx.extraction import require_any
from featx.extraction.used import check_cache, used_by
from featx.files import printable
from featx.formats import find_writer, write_rows
from featx.ours import FileKind, is_page, is_table
from featx.outputs import Claims, Output, Used, claimed
from featx.runs import Run, load_run
from featx.scoring.audit_file import AUDIT, Audited, audit_rows, read_audit
from featx.scoring.audit_file import COLUMNS as AUDIT_COLUMNS
from featx.scoring.counting import COLUMNS, CountedPart, Counts, part_of
from featx.scoring.drift import image_blocks, known_groups
from featx.scoring.folder import extract_again, predict_rows
from featx.scoring.label_shift import check_shift
from featx.scoring.scores import Scores
from featx.stats.audits import Design
from featx.stats.counting import Reference, count_classes
from featx.system_errors import writing
from featx.types import SITES

LEFT_OUT: LeaveOut = {ExtractConfig: BACKBONE_FIELDS}
COUNTS = FileKind("a table of counts", is_table(COLUMNS))
PAGE = FileKind("a page", is_page)
PART = re.compile(r"(name|folder):.*|.*\(.*", re.DOTALL)  # a part of the path, not a column
#: Predictions of a run that say how its model errs, what says most of new images first.
JUDGED = (SITES, "evaluated", "folds", "oof", "test", "holdout")
KEPT = "What is in the cache is kept."


@keywords(
    DatasetConfig,
    CountConfig,
    ExtractConfig,
    leave_out=LEFT_OUT,
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
    ClassCount(name='deer', predicted=412, count=388, low=371, high=404, audited=0)
    """
    data, config, extract = sections(
        {"dataset": dataset, **options}, DatasetConfig, CountConfig, ExtractConfig,
        leave_out=LEFT_OUT,
    )  # fmt: skip
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
    loaded, reference, judged = _opened(model)
    if reference is None and audited is None and config.audit is None:
        raise UsageError(
            "This model comes without its run, whose out-of-fold predictions say how it errs.",
            hint="Give the run's folder, or label a sample: --audit 200.",
        )
    outputs = _outputs(config)
    used = used_by(data, extract, model=model)
    used += [Used("the file of --audited", config.audited)] if config.audited else []
    with claimed(outputs, used) as claims:
        columns = [name for name in config.by if not PART.fullmatch(name)]
        manifest = open_data(
            data, labelled=False, keep=[name for name in columns if name != "group"]
        )
        claims.spare("the images", manifest.paths)
        check_cache(manifest, extract.cache)
        counting = _Counting(loaded, reference, judged, data, config, extract, audited)
        counts, tables = counting.of(manifest)
        return _written(counts, tables, config, claims)


@dataclass(frozen=True)
class _Counting:
    """One call of `count`, once its outputs are claimed."""

    model: Model
    reference: Reference | None
    judged: str
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
        config, classes = self.config, self.model.classes
        groups = known_groups(self.data)
        values = _values(manifest, config.by, groups)
        extractions = extract_again(self.model, manifest, ScoreConfig(), self.extract)
        require_any(extractions[0].failures, len(manifest))
        scores = predict_rows(self.model, extractions, ScoreConfig())
        read = np.flatnonzero(scores.y_pred >= 0)
        blocks, _ = image_blocks(extractions[0], groups)
        sites = {
            name: _codes([column[i] for i in read.tolist()]) for name, column in values.items()
        }
        folder = _Folder(self, scores, read, blocks, sites)
        unsafe, checks = check_shift(
            self.model, extractions, scores, blocks, self.reference, folder.draws
        )
        counts = Counts(
            source=self.data.dataset,
            classes=list(classes),
            method=folder.method,
            parts=tuple(folder.parts()),
            unread=len(scores.failures) + len(manifest.unread),
            unsafe=() if self.audited else unsafe,
            checks=checks,
            audited=len(folder.labelled[0]),
            unlabelled=0 if self.audited is None else self.audited.size - len(folder.labelled[0]),
        )
        return counts, folder.audit_rows() if config.audit is not None else []


class _Folder:
    """Images that could be read, and what is drawn of them."""

    def __init__(
        self,
        counting: _Counting,
        scores: Scores,
        read: np.ndarray,
        blocks: np.ndarray,
        sites: Mapping[str, tuple[list[str], np.ndarray]],
    ) -> None:
        self.counting, self.sites, self.blocks = counting, sites, blocks
        self.ids = [scores.ids[i] for i in read.tolist()]
        self.proba, self.y_pred = scores.probabilities[read], scores.y_pred[read]
        self.sure = self.proba.max(axis=1)
        self.n_classes = self.proba.shape[1]
        self.content = self.proba
        self.draws = self._corrected(np.ones(len(read), bool), keep=True)
        self.labelled: tuple[np.ndarray, np.ndarray] = (np.empty(0, np.int64),) * 2
        self.design = self._design()
        if counting.audited is not None and self.design is not None:
            self.labelled = counting.audited.matched(self.ids, counting.model.classes, self.design)
            self.draws = self.design.count(*self.labelled, seed=counting.seed)

    @property
    def method(self) -> str:
        """How the counts were corrected, in words."""
        counting = self.counting
        if counting.audited is not None:
            n = console.counted(len(self.labelled[0]), "image")
            return f"Labels of {n}, drawn in strata, combined with the predictions for the others"
        if counting.reference is None:
            return "Predictions as they are, without a correction: label the audit to have one"
        return f"Corrected for the model's errors on {counting.judged}"

    def _corrected(self, rows: np.ndarray, *, keep: bool = False) -> np.ndarray:
        """Draws for some of the images, by how the model errs."""
        reference, seed = self.counting.reference, self.counting.seed
        if reference is None:
            return np.bincount(self.y_pred[rows], minlength=self.n_classes)[None]
        sizes = np.bincount(self.blocks[rows])
        alike = float(((sizes / sizes.sum()) ** 2).sum())
        grouped = len(self.blocks) > len(np.unique(self.blocks))
        found = count_classes(
            reference, self.proba[rows], alike=alike if grouped else None, seed=seed
        )
        if keep:
            self.content = found.content
        return found.counts

    def _design(self) -> Design | None:
        """The sample, as ``--audit`` draws it or drew it."""
        audited, seed = self.counting.audited, self.counting.seed
        size = audited.size if audited else self.counting.config.audit
        if size is None:
            return None
        reference = self.counting.reference
        cut = float(np.median(self.sure)) if reference is None else reference.cut
        return Design.of(self.content, self.y_pred, self.sure < cut, size, seed)

    def parts(self) -> list[CountedPart]:
        """The folder, then every value of each column."""
        everything = np.ones(len(self.ids), bool)
        parts = [self._part("", "", everything, self.draws)]
        for name, (values, codes) in self.sites.items():
            for number, value in enumerate(values):
                rows = codes == number
                parts.append(self._part(name, value, rows, self._draws_of(rows)))
        return parts

    def _draws_of(self, rows: np.ndarray) -> np.ndarray:
        if self.counting.audited is None or self.design is None:
            return self._corrected(rows)
        return self.design.count(
            *self.labelled, seed=self.counting.seed, among=rows, content=self.content
        )

    def _part(self, by: str, value: str, rows: np.ndarray, draws: np.ndarray) -> CountedPart:
        labelled, y = self.labelled
        found = y[rows[labelled]]
        predicted, audited = (
            np.bincount(codes, minlength=self.n_classes) for codes in (self.y_pred[rows], found)
        )
        return part_of(by, value, self.counting.model.classes, predicted, draws, audited)

    def audit_rows(self) -> list[list[Any]]:
        """The rows of ``audit.csv``."""
        assert self.design is not None
        classes, seed = self.counting.model.classes, self.counting.seed
        return list(audit_rows(self.design, self.ids, classes, self.y_pred, self.sure, seed))


def _opened(
    source: Model | str | os.PathLike[str],
) -> tuple[Model, Reference | None, str]:
    """A model, how it errs, and on which images that is known; None without its run."""
    if isinstance(source, Model):
        return source, None, ""
    try:
        run = load_run(source)
    except NoRunError:
        return load_model(source), None, ""
    levels = {**run.predictions, **run.levels}
    name = next((name for name in JUDGED if name in levels), None)
    if name is None:
        return run.model, None, ""
    found = levels[name]
    unit = np.arange(len(found)) if found.unit is None else found.unit
    told = {"test": "the test split", "holdout": "the images held out",
            "evaluated": "labelled images that came later"}  # fmt: skip
    images = console.counted(len(found), "image")
    judged = f"{told.get(name, 'held-out folds')} ({images})"
    return run.model, Reference.of(found.y, found.proba, unit), judged


def _values(
    manifest: Manifest, names: Sequence[str], groups: Mapping[str, str]
) -> dict[str, list[str | None]]:
    """The value of every image for each name of ``--by``."""
    found: dict[str, list[str | None]] = {}
    for name in dict.fromkeys(names):
        if PART.fullmatch(name):
            take = path_part(name, "--by")
            found[name] = [take(id) for id in manifest.ids]
        elif name == "group":
            found[name] = [groups.get(id) for id in manifest.ids]
        else:
            found[name] = manifest.column(name)
        if not any(found[name]):
            raise UsageError(
                f"--by {printable(name)}: no image of '{printable(manifest.source)}' has a value.",
                hint="Name a column of the manifest, group, or a part of the path: folder:0.",
            )
    return found


def _codes(values: Sequence[str | None]) -> tuple[list[str], np.ndarray]:
    """Distinct values, sorted, and the number of each image's; -1 for none."""
    names = sorted({value for value in values if value})
    place = {name: i for i, name in enumerate(names)}
    return names, np.array([place.get(value or "", -1) for value in values], np.int64)


def _outputs(config: CountConfig) -> list[Output]:
    found = []
    if config.audit is not None:
        if not config.audit_file.lower().endswith(".csv"):
            raise UsageError(f"--audit-file '{printable(config.audit_file)}' must end in .csv.")
        found.append(Output(config.audit_file, "--audit-file", AUDIT, config.overwrite))
    if config.output is not None:
        find_writer(config.output)
        found.append(Output(config.output, "-o", COUNTS, config.overwrite))
    if config.report is not None:
        found.append(Output(config.report, "--report", PAGE, config.overwrite))
    return found


def _written(counts: Counts, audit: list[list[Any]], config: CountConfig, claims: Claims) -> Counts:
    """The counts, once all files are written."""
    if config.audit is not None:
        place = claims.place(config.audit_file)
        with writing("the audit", place, kept=KEPT):
            write_rows(place, AUDIT_COLUMNS, audit, overwrite=True)
        counts = replace(counts, audit=os.fspath(place), drawn=len(audit))
    if config.output is not None:
        place = claims.place(config.output)
        with writing("the table", place, kept=KEPT):
            write_rows(place, COLUMNS, counts.rows(), overwrite=True)
        counts = replace(counts, output=os.fspath(place))
    if config.report is not None:
        from featx.reporting.count_page import write_count_page  # draws: imported where it is used

        counts = write_count_page(counts, claims.place(config.report))
    return counts
