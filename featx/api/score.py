"""`featx.score`: a model and a folder of new images to one row per file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from featx import console
from featx.artifact import Model, load_model
from featx.config import BACKBONE_FIELDS, DatasetConfig, ExtractConfig, ScoreConfig
from featx.config.keywords import keywords, read_options
from featx.data.array_files import holds_arrays
from featx.data.opening import open_data
from featx.errors import UsageError
from featx.extraction import Extraction
from featx.extraction.embedding import tell_failures
from featx.extraction.given import arrays_for, given_extraction, needed_columns
from featx.extraction.used import check_cache, used_by
from featx.files import printable
from featx.outputs import Claims, claimed
from featx.runs import Run
from featx.runs.estimates import Decided
from featx.runs.thresholds import model_with_threshold
from featx.scoring.checks import check_limits
from featx.scoring.drift import known_groups
from featx.scoring.folder import (
    check_scores,
    extract_again,
    outputs_of,
    predict_rows,
    write_scores,
)
from featx.scoring.groups import grouped_data, require_groups, score_groups
from featx.scoring.history import add_line, check_history, describe_scoring
from featx.scoring.scores import Scores
from featx.stats.groups import read_way
from featx.types import IN_MEMORY


@keywords(
    ScoreConfig,
    ExtractConfig,
    leave_out={ExtractConfig: BACKBONE_FIELDS},
    instead="the model's own is used",
)
def score(
    model: Model | Run | str | os.PathLike[str],
    images: Any,
    *,
    output: str | os.PathLike[str] | None = None,
    config: ScoreConfig | None = None,
    extract: ExtractConfig | None = None,
    **options: Any,
) -> Scores:
    """Predict the class of every image of a folder; nothing is left out.

    Parameters
    ----------
    model : Model, Run or path
        A model, a run, or what `featx.load_model` takes.
    images : path, DatasetConfig, array-like or frame
        A folder, with or without subfolders, or a manifest file; labels are ignored. Rows of
        numbers, as `featx.fit_arrays` takes them, or a file of them: one row each is predicted.
    output : path, optional
        ``.csv``, ``.jsonl`` or ``.parquet`` file to write. Default None writes nothing.
    config : ScoreConfig, optional
        What is written; its ``output`` is not read here.
    extract : ExtractConfig, optional
        Cache, device and the like. Settings of the embedding come from the model, except
        ``weights`` (a file that has moved since the model was fitted).
    **options

    Returns
    -------
    Scores

    Raises
    ------
    UsageError
        An option is invalid, or something that exists would be overwritten.
    ModelError
        The model cannot be loaded, or the backbone on this machine is not the one it was fitted
        with; the message says what differs.
    DatasetError, BackboneError, StoreError
        See `featx.extract`.
    AlarmError
        What ``fail_on`` names was found; all is written. `Scores.require_calm` asks later.

    Examples
    --------
    >>> scores = featx.score("runs/first", "new_photos/", top_k=3)   # doctest: +SKIP
    >>> scores.predictions[:2]                                       # doctest: +SKIP
    array(['Basophil', 'Monocyte'], dtype=object)
    """
    given = read_options(score, **options)
    config, extract = _one_source(config, extract, given, options)
    model = model.folder if isinstance(model, Run) else model
    scores = score_images(model, images, output=output, config=config, extract=extract)
    scores.require_calm(config.fail_on)
    return scores


def score_images(
    model: Model | str | os.PathLike[str],
    images: Any,
    *,
    output: str | os.PathLike[str] | None,
    config: ScoreConfig,
    extract: ExtractConfig,
) -> Scores:
    """`score` from checked sections; ``config.fail_on`` is left to the caller."""
    loaded = model if isinstance(model, Model) else load_model(model)
    check_limits(loaded, config.fail_on)
    named = "" if isinstance(model, Model) else os.fspath(model)
    if config.prevalence is not None and config.threshold is None:
        raise UsageError(
            f"--prevalence {config.prevalence:g} has no effect on scores without --threshold.",
            hint="Give --threshold CLASS:recall=0.95 too. The run's table at a prevalence: "
            "featx report RUN --prevalence P.",
        )
    loaded, in_force = model_with_threshold(
        loaded, named or None, config.threshold, config.prevalence
    )
    if isinstance(images, str | os.PathLike):
        images = DatasetConfig(dataset=os.fspath(images))
    if isinstance(images, DatasetConfig):
        images = grouped_data(images, config.by_group)
    _check_group_answer(loaded, config)
    data = images if isinstance(images, DatasetConfig) else DatasetConfig(dataset=IN_MEMORY)
    outputs = outputs_of(output, config)
    used = used_by(None if data is not images else data, extract, model=model)
    check_history(config.history, outputs, used)
    with claimed(outputs, used) as claims:
        scoring = _Scoring(loaded, in_force, named, data, output, config, extract, claims)
        of_arrays = data is not images or holds_arrays(data)
        return scoring.of_rows(images) if of_arrays else scoring.of_images()


@dataclass(frozen=True)
class _Scoring:
    """One call of `score`, once its outputs are claimed."""

    model: Model
    in_force: Decided | None
    named: str
    data: DatasetConfig
    output: str | os.PathLike[str] | None
    config: ScoreConfig
    extract: ExtractConfig
    claims: Claims

    def of_rows(self, rows: Any) -> Scores:
        """Score rows of numbers, of a file or in memory."""
        if self.config.sort_into is not None or self.config.average_views:
            flag = "sort-into" if self.config.sort_into is not None else "average-views"
            raise UsageError(f"--{flag} applies to images, but these are rows of numbers.")
        extraction = given_extraction(arrays_for(self.model, rows))
        if not any(spec.of_arrays for spec in self.model.specs):
            names = printable(" and ".join(spec.backbone for spec in self.model.specs))
            console.warn(
                f"featx assumes that the rows are embeddings of {names}, which it cannot check"
            )
        tell_failures(extraction)
        groups = {row.id: row.group for row in extraction.manifest.rows if row.group}
        if self.config.by_group is not None:
            require_groups(groups, self.data.dataset)
        return self._finished([extraction], groups)

    def of_images(self) -> Scores:
        """Score the images of the data set."""
        manifest = open_data(self.data, labelled=False, keep=needed_columns(self.model))
        self.claims.spare("the images", manifest.paths)
        check_cache(manifest, self.extract.cache)
        by_group = self.config.by_group is not None
        groups = known_groups(self.data, needed=True) if by_group else None
        if groups is not None:
            require_groups(groups, self.data.dataset)
        extractions = extract_again(self.model, manifest, self.config, self.extract)
        return self._finished(extractions, known_groups(self.data) if groups is None else groups)

    def _finished(self, extractions: Sequence[Extraction], groups: Mapping[str, str]) -> Scores:
        """From embeddings to everything that is written."""
        config = self.config
        scores = predict_rows(self.model, extractions, config)
        if self.in_force is not None:
            scores = replace(scores, threshold=self.in_force.document())
        scores, drift = check_scores(self.model, extractions, scores, groups, config)
        if config.by_group is not None:
            found = score_groups(scores, groups, config.group_answer, config.abstain_below)
            scores = replace(scores, groups=found)
        scores = write_scores(scores, extractions[0], self.output, config, self.claims)
        if config.history is not None:
            line = describe_scoring(self.model, self.named, self.data.dataset, scores)
            add_line(config.history, line)
        if config.report is not None:
            from featx.reporting.score_page import add_page  # drawing is imported where it is used

            place = self.claims.place(config.report)
            scores = add_page(
                self.model, self.named, extractions, scores, drift, place, config, self.data,
                self.extract,
            )  # fmt: skip
        for sentence in scores.warnings():
            console.at_end(sentence, warning=True)
        return scores


def _check_group_answer(model: Model, config: ScoreConfig) -> None:
    """Refuse, before anything is read, a way to answer that does not exist or has no effect."""
    if config.group_answer is None:
        return
    if config.by_group is None:
        raise UsageError(f"--group-answer {config.group_answer} has no effect without --by-group.")
    read_way(config.group_answer, model.classes)


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
    return config or given[0], extract or given[1]
