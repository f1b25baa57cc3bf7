"""A folder of images under a model: embeddings, predictions, rows and sorted files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from featx import console
from featx.artifact import Model
from featx.artifact.decision import Cutoff
from featx.artifact.tabular import ColumnRead, side_by_side
from featx.artifact.trust import Trust
from featx.config import ExtractConfig, ScoreConfig
from featx.data.manifest import Manifest
from featx.extraction import Extraction, joined_embeddings, run_extractors
from featx.extraction.embedding import tell_failures, tell_report
from featx.extraction.rebuilding import rebuild_extractors
from featx.files import printable
from featx.formats import table_output, write_claimed
from featx.ours import FileKind, is_page, is_table
from featx.outputs import Claims, Output
from featx.scoring.averaging import average_views, score_augmentation
from featx.scoring.checks import checks_of
from featx.scoring.drift import Drifted, find_drift, image_blocks
from featx.scoring.scores import Scores
from featx.scoring.sorting import TREE, UNSURE, Placement, sort_files
from featx.system_errors import writing

KEPT = "What is in the cache is kept."
SCORES = FileKind(
    "a table of scores", is_table(("path", "prediction", "probability"), last="error")
)
GROUPS = FileKind(
    "a table of groups", is_table(("group", "prediction", "probability"), last="error")
)
PAGE = FileKind("a page", is_page)
CHUNK_ROWS = 65536  # embeddings of so many images are in memory at once


def outputs_of(output: str | os.PathLike[str] | None, config: ScoreConfig) -> list[Output]:
    """What will be written, to be claimed before any work is done."""
    found = table_output(output, SCORES, config.overwrite)
    if output is not None and config.by_group is not None:
        found.append(Output(groups_path(output), "--by-group", GROUPS, config.overwrite))
    if config.report is not None:
        found.append(Output(config.report, "--report", PAGE, config.overwrite))
    if config.sort_into is not None:
        found.append(Output(config.sort_into, "--sort-into", TREE, config.overwrite))
    return found


def extract_again(
    model: Model, manifest: Manifest, config: ScoreConfig, extract: ExtractConfig
) -> list[Extraction]:
    """The embeddings that the model takes; files, failures and times of the first are of all."""
    extractions = run_extractors(
        manifest,
        rebuild_extractors(model, extract, manifest.paths),
        extract.model_copy(update={"views": config.average_views}),
        allow_memory=True,
        augmentation=score_augmentation(model) if config.average_views else None,
    )
    tell_report(extractions[0].report)
    tell_failures(extractions[0])
    if config.average_views:
        console.log(
            "Probabilities are means over views; the model's guarantees (estimate, calibration, "
            "coverage) hold for single images."
        )
    return extractions


def predict_rows(model: Model, extractions: Sequence[Extraction], config: ScoreConfig) -> Scores:
    """Run the head over the embeddings, a chunk at a time."""
    n_classes = len(model.classes)
    top_k = _top_k(config.top_k, n_classes)
    extraction = extractions[0]
    n = len(extraction.manifest)
    predictions = np.full(n, None, dtype=object)
    proba = np.full((n, n_classes), np.nan)
    trust = model.trust or Trust()
    position = {name: i for i, name in enumerate(model.classes)}
    sets = None if trust.sets is None else np.zeros((n, n_classes), bool)
    below = config.abstain_below
    abstained = None if sets is None and below is None else np.zeros(n, bool)
    limit = trust.novelty
    ood_scores = None if limit is None else np.full(n, np.nan)
    ok = np.flatnonzero(extraction.ok)
    read = _columns(model, extraction)
    codes = side_by_side(read) if read else None
    for start in range(0, len(ok), CHUNK_ROWS):
        chunk = ok[start : start + CHUNK_ROWS]
        X = joined_embeddings(extractions, chunk)
        tabular = None if codes is None else codes[start : start + CHUNK_ROWS]
        proba[chunk] = p = model.predict_proba(X, tabular=tabular)
        if config.average_views:
            proba[chunk] = p = average_views(model, extractions, chunk, p, tabular)
            predictions[chunk] = np.array(model.classes, object)[trust.decide(p)]
        else:
            predictions[chunk] = model.predict(X, tabular=tabular)
        first = np.array([position[label] for label in predictions[chunk]], np.int64)
        if sets is not None and abstained is not None and trust.sets is not None:
            sets[chunk] = trust.sets.sets(p, first)
            abstained[chunk] = trust.sets.abstains(p, first)
        if abstained is not None and below is not None:
            abstained[chunk] |= p[np.arange(len(p)), first] < below
        if ood_scores is not None:
            ood_scores[chunk] = model.ood_scores(X)
    return Scores(
        ids=extraction.manifest.ids,
        classes=list(model.classes),
        predictions=predictions,
        probabilities=proba,
        failures=extraction.failures,
        report=extraction.report.document(),
        averaged=extraction.plan.document(),
        sets=sets,
        abstained=abstained,
        ood_scores=ood_scores,
        ood=None if limit is None else np.asarray(ood_scores) > limit.limit,
        top_k=top_k,
        proba=config.proba,
        cutoff=trust.decision if isinstance(trust.decision, Cutoff) else None,
        passed=extraction.manifest.passed,
        passed_over=dict(extraction.manifest.ignored),
        all_files=config.all_files,
        trust=trust,
        columns_read=read,
    )


def _top_k(asked: int, n_classes: int) -> int:
    """As many classes as there are, at most."""
    if n_classes < asked:
        classes = console.counted(n_classes, "class")
        console.warn(f"the model has {classes}, so --top-k {asked} is {n_classes}")
    return min(asked, n_classes)


def _columns(model: Model, extraction: Extraction) -> tuple[ColumnRead, ...]:
    """The other columns that the model takes, of the images that were read."""
    if model.tabular is None:
        return ()
    rows = [dict(extraction.manifest.rows[i].extra) for i in np.flatnonzero(extraction.ok)]
    cells = {name: [row.get(name) for row in rows] for name in model.tabular.names}
    return tuple(model.tabular.read(cells, len(rows)))


def check_scores(
    model: Model,
    extractions: Sequence[Extraction],
    scores: Scores,
    groups: Mapping[str, str],
    config: ScoreConfig,
    among: np.ndarray | None = None,
) -> tuple[Scores, Drifted | None]:
    """The scores with their checks against the training images and the test of drift.

    Parameters
    ----------
    model : Model
    extractions : sequence of Extraction
    scores : Scores
        From `predict_rows`.
    groups : mapping of str to str
        Group of an image by its id, where one is known.
    config : ScoreConfig
        Of single images and without ``abstain_below`` abstaining is as usual; else it is only
        counted.
    among : ndarray of shape (n_files,), bool, optional
        The images to check; default None is all.
    """
    first = extractions[0]
    blocks, _ = image_blocks(first, groups)
    some = first.ok if among is None else first.ok & among
    flags = {
        name: None if flag is None else flag[some]
        for name, flag in (("abstained", scores.abstained), ("ood", scores.ood))
    }
    comparable = config.abstain_below is None and not config.average_views
    unread = sum(passed.kind.image for passed in scores.passed)
    checks = checks_of(
        model,
        flags,
        blocks[some[first.ok]],
        n_rows=len(scores) + unread,
        n_unread=len(scores.failures) + unread,
        only_counted=() if comparable else ("abstained",),
    )
    drift, why_not = find_drift(model, extractions, scores.y_pred, groups, among)
    document = None if drift is None else drift.document()
    return replace(scores, checks=checks, drift=document, no_drift=why_not), drift


def groups_path(output: str | os.PathLike[str]) -> Path:
    """Where the table of groups lies: beside that of images."""
    path = Path(output)
    return path.with_name(f"{path.stem}_groups{path.suffix}")


def _write_table(scores: Scores, claims: Claims, path: str | os.PathLike[str]) -> Scores:
    place = write_claimed(claims, path, scores.columns, scores.rows(), kept=KEPT)
    n_rows = len(scores) + (len(scores.passed) if scores.all_files else 0)
    console.log(f"{console.counted(n_rows, 'row')} written to {printable(place)}")
    return replace(scores, output=place)


def write_scores(
    scores: Scores,
    extraction: Extraction,
    output: str | os.PathLike[str] | None,
    config: ScoreConfig,
    claims: Claims,
) -> Scores:
    """Write the rows and sort the files, as far as asked."""
    if output is not None:
        scores = _write_table(scores, claims, output)
        if scores.groups is not None:
            groups = _write_table(scores.groups, claims, groups_path(output))
            scores = replace(scores, groups=groups)
    if config.sort_into is not None:
        unsure = scores.unsure & config.sort_unsure
        placements = [
            Placement(row.id, row.path, label, bool(aside))
            for row, label, aside in zip(
                extraction.manifest.rows, scores.predictions, unsure, strict=True
            )
        ]
        place, root = claims.place(config.sort_into), extraction.manifest.root
        with writing("the sorted folder", place, kept=KEPT):
            counts = sort_files(place, placements, root=root, mode=config.sort_mode)
        total = sum(counts.values())
        console.log(f"{console.counted(total, 'file')} sorted into {printable(os.fspath(place))}")
        if counts.get(UNSURE):
            console.log(
                f"{counts[UNSURE]:,} of them in {UNSURE}: the model abstains, or they are out of "
                "distribution. --no-sort-unsure puts them with their predicted class."
            )
        scores = replace(scores, sorted_into=counts)
    return scores
