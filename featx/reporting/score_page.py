"""New images held against the training images, and the page of what a model says of them."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from featx import console
from featx.artifact import Model
from featx.artifact.ensemble import EnsembleHead
from featx.artifact.trust import Trust
from featx.config import BACKBONE_FIELDS, DatasetConfig, ExtractConfig, ScoreConfig, arguments
from featx.data.reader import read_manifest
from featx.data.splits import link_components
from featx.errors import FeatxError
from featx.extraction import Extraction
from featx.files import printable, write_atomic
from featx.reporting.scored import Drifted, Scored, write_scored_page
from featx.scoring.scores import Scores
from featx.shell import as_argument, shell_line
from featx.stats.drift import mix_shift, place_shift
from featx.system_errors import writing

__all__ = ["add_page", "find_drift"]

MOST_TESTED = 1000  # as many as a model's sample has; more would call any difference drift
LEAST_TESTED = 10
SEED = 0
BEFORE = "The model has no sample of its training images: fit it again to have one."


def find_drift(
    model: Model,
    extractions: Sequence[Extraction],
    predicted: np.ndarray,
    groups: Mapping[str, str],
) -> tuple[Drifted | None, str]:
    """Test whether the images are like those that the model was fitted on.

    Parameters
    ----------
    model : Model
    extractions : sequence of Extraction
        Of the images, by each of the model's extractors.
    predicted : ndarray of shape (n_files,), int64
        Index of the predicted class; -1 where a file could not be read.
    groups : mapping of str to str
        Group of an image by its id, where one is known.

    Returns
    -------
    Drifted or None, str
        None for the reason that the text gives.
    """
    first, sample, facts = extractions[0], model.drift, (model.trust or Trust()).drift
    if sample is None or facts is None:
        return None, BEFORE
    read = np.flatnonzero(first.ok)
    blocks, grouped = _blocks(first, read, groups)
    some = np.arange(len(read))
    if len(read) > MOST_TESTED:
        some = np.sort(np.random.default_rng(SEED).choice(some, MOST_TESTED, replace=False))
    rows, blocks = read[some], blocks[some]
    if len(np.unique(blocks)) < LEAST_TESTED:
        return (
            None,
            f"{console.counted(len(read), 'image', 'is/are')} too few: at least "
            f"{LEAST_TESTED} different "
            "ones are needed.",
        )
    columns = [e.store.gather(e.hashes[rows]) for e in extractions]
    new_places = sample.locate(np.hstack(columns))
    places = np.concatenate([sample.places, new_places])
    new = np.arange(len(places)) >= len(sample.places)
    together = np.append(sample.blocks, blocks + sample.blocks.max() + 1)
    codes = np.append(sample.predicted, predicted[rows])
    n_classes = len(model.classes)
    return Drifted(
        place=place_shift(places, new, together, seed=SEED),
        mix=mix_shift(codes, new, together, n_classes, seed=SEED),
        rows=rows,
        old_places=sample.places.astype(np.float64),
        new_places=new_places.astype(np.float64),
        old_shares=np.bincount(sample.predicted, minlength=n_classes) / len(sample.predicted),
        old_probabilities=sample.probabilities.astype(np.float64),
        n_read=len(read),
        old_grouped=facts.grouped,
        new_grouped=grouped,
    ), ""


def _groups(images: DatasetConfig) -> dict[str, str]:
    """Group of each image where a manifest or a table names them; scoring itself reads none."""
    if images.group is None and Path(images.dataset).is_dir():
        return {}
    try:
        rows = read_manifest(images).rows
    except FeatxError as error:  # labels and splits, which scoring does not need, may be wrong
        console.warn(f"groups of the images are not known to the test of drift: {error.message}")
        return {}
    return {row.id: row.group for row in rows if row.group is not None}


def _blocks(
    extraction: Extraction, read: np.ndarray, groups: Mapping[str, str]
) -> tuple[np.ndarray, bool]:
    """What belongs together among the images: exact copies, and groups where they are known."""
    copies = extraction.copies
    if not groups:
        return copies, False
    ids = extraction.manifest.ids
    own = [groups.get(ids[i]) or f"\0{i}" for i in read]
    codes = np.unique(np.array(own), return_inverse=True)[1].astype(np.int64)
    return link_components(codes, copies), True


def add_page(
    model: Model,
    named: str,
    extractions: Sequence[Extraction],
    scores: Scores,
    place: Path,
    config: ScoreConfig,
    images: DatasetConfig,
    extract: ExtractConfig,
) -> Scores:
    """Write the page that ``config.report`` asks for; the scores know of it.

    Parameters
    ----------
    model : Model
    named : str
        The model's path; empty where it was given as an object.
    extractions : sequence of Extraction
    scores : Scores
    place : Path
        Of the page, which is claimed.
    config : ScoreConfig
    images : DatasetConfig
        Where the images are, as it was asked for.
    extract : ExtractConfig
        How they were embedded, as it was asked for.
    """
    position = {name: i for i, name in enumerate(scores.classes)}
    predicted = np.array([position.get(label, -1) for label in scores.predictions], np.int64)
    drift, why_not = find_drift(model, extractions, predicted, _groups(images))
    novelty = (model.trust or Trust()).novelty
    scored = Scored(
        source=images.dataset,
        model=_about(model),
        classes=scores.classes,
        ids=scores.ids,
        paths=[row.path for row in extractions[0].manifest.rows],
        predicted=predicted,
        probabilities=scores.probabilities,
        abstained=scores.abstained,
        ood=scores.ood,
        ood_scores=scores.ood_scores,
        ood_rate=None if novelty is None else novelty.rate,
        ood_limit=None if novelty is None else novelty.limit,
        failures=[(failure.id, failure.reason) for failure in scores.failures],
        drift=drift,
        no_drift=why_not,
        command=_command(named, images, scores, config, extract),
        facts=_facts(model, extractions[0]),
    )
    data = write_scored_page(scored).encode("utf-8", "backslashreplace")
    page = os.fspath(place)
    with writing("the page", page):
        write_atomic(place, data)
    console.log(f"Page of {len(data) / 1e6:.1f} MB written to {printable(page)}")
    return replace(scores, page=page, drift=None if drift is None else drift.document())


def _about(model: Model) -> dict[str, Any]:
    chosen = model.provenance.get("chosen") or {}
    kind = "ensemble" if isinstance(model.head, EnsembleHead) else "classifier's"
    return {
        "backbone": " and ".join(spec.backbone for spec in model.specs),
        "head": str(chosen.get("head", kind)),
        "estimate": model.metrics,
    }


def _facts(model: Model, extraction: Extraction) -> list[str]:
    told = model.provenance
    parts = [f"{key} {told[key]}" for key in ("dataset", "n_images", "date", "seed") if key in told]
    made = f"The model: {printable(', '.join(parts))}." if parts else ""
    versions = ", ".join(f"{name} {version}" for name, version in model.versions.items())
    return [
        *extraction.report.sentences(),
        *filter(None, [made]),
        f"Fitted with {printable(versions)}; scored by Python {platform.python_version()} on "
        f"{platform.system()} {platform.machine()}.",
    ]


def _command(
    named: str,
    images: DatasetConfig,
    scores: Scores,
    config: ScoreConfig,
    extract: ExtractConfig,
) -> str:
    """What makes the page again; nothing for a model that has no path."""
    if not named:
        return ""
    written = {"output": scores.output or config.output, "overwrite": True}
    words = [
        *arguments(images),
        *arguments(config.model_copy(update=written), leave_out=frozenset({"images"})),
        *arguments(extract, leave_out=BACKBONE_FIELDS),
    ]
    return shell_line("featx", "score", as_argument(named), *words)
