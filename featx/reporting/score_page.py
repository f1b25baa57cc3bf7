"""The page of what a model predicts for new images, made beside their scores."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from featx import console
from featx.artifact import Model
from featx.config import BACKBONE_FIELDS, DatasetConfig, ExtractConfig, ScoreConfig, arguments
from featx.extraction import Extraction
from featx.files import printable, write_atomic
from featx.reporting.scored.contents import ScoredFolder
from featx.reporting.scored.document import write_scored_page
from featx.scoring.drift import Drifted
from featx.scoring.history import read_history
from featx.scoring.scores import Scores
from featx.shell import as_argument, shell_line
from featx.system_errors import writing

ONCE = frozenset({"images", "history", "fail_on"})  # not done again for a page


@console.stage("Writing the page")
def add_page(
    model: Model,
    named: str,
    extractions: Sequence[Extraction],
    scores: Scores,
    drift: Drifted | None,
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
    drift : Drifted or None
        From `featx.scoring.folder.check_scores`.
    place : Path
        Of the page, which is claimed.
    config : ScoreConfig
    images : DatasetConfig
        Where the images are, as it was asked for.
    extract : ExtractConfig
        How they were embedded, as it was asked for.
    """
    scored = ScoredFolder(
        source=images.dataset,
        model=model,
        scores=scores,
        paths=[row.path for row in extractions[0].manifest.rows],
        drift=drift,
        no_drift=scores.no_drift,
        command=_command(named, images, scores, config, extract),
        facts=_facts(model, extractions[0]),
        history=() if config.history is None else read_history(config.history),
    )
    data = write_scored_page(scored).encode("utf-8", "backslashreplace")
    page = os.fspath(place)
    with writing("the page", page):
        write_atomic(place, data)
    console.log(f"Page of {len(data) / 1e6:.1f} MB written to {printable(page)}")
    return replace(scores, page=page)


def _facts(model: Model, extraction: Extraction) -> list[str]:
    made_by = model.provenance
    parts = [
        f"{key} {made_by[key]}" for key in ("dataset", "n_images", "date", "seed") if key in made_by
    ]
    made = f"The model: {', '.join(parts)}." if parts else ""
    versions = ", ".join(f"{name} {version}" for name, version in model.versions.items())
    return [
        *extraction.report.sentences(),
        *filter(None, [made]),
        f"Fitted with {versions}; scored by Python {platform.python_version()} on "
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
        *arguments(config.model_copy(update=written), leave_out=ONCE),
        *arguments(extract, leave_out=BACKBONE_FIELDS),
    ]
    return shell_line("featx", "score", as_argument(named), *words)
