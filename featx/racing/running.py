"""A race over the images of a data set, from its settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from featx import console
from featx.config import ExtractConfig, RaceConfig
from featx.console import counted
from featx.data.manifest import Manifest
from featx.durations import read_seconds
from featx.errors import FitError
from featx.racing.document import race_document
from featx.racing.draws import round_sizes
from featx.racing.extracted import Images
from featx.racing.rounds import race
from featx.racing.runners import Rules
from featx.racing.streams import plan_streams

FEWEST = 20  # images that a race needs


def run_race(
    manifest: Manifest, extract: ExtractConfig, config: RaceConfig, *, source: str
) -> dict[str, Any]:
    """Race what the settings name over the labelled images of a data set; the race's document.

    Images of the test split take no part. Without one at most the share ``config.apart`` of the
    images does; the others are left to evaluate what wins.

    Parameters
    ----------
    manifest : Manifest
        With labels.
    extract : ExtractConfig
        With its range resolved. The winner's embeddings of the images drawn are in its cache.
    config : RaceConfig
    source : str
        What the data set is called in the document.

    Raises
    ------
    FitError
        Too few images or classes to race on.
    UsageError, BackboneError, StoreError
        A backbone cannot be built, or the cache fails.
    """
    if extract.limit is not None:
        manifest = manifest.head(extract.limit)
    n, has_test = len(manifest), any(row.split == "test" for row in manifest.rows)
    rows = tuple(r for r in manifest.rows if r.split != "test" and r.label is not None)
    drawable = replace(manifest, rows=rows)
    classes = sorted({str(row.label) for row in rows})
    sizes = round_sizes(
        config.rounds,
        len(rows),
        share=1.0 if has_test else config.apart,
        n_classes=len(classes),
    )
    if len(classes) < 2 or sizes[-1] < FEWEST:
        raise FitError(
            f"A race needs {FEWEST} images that it may draw, of 2 classes. Here it may draw "
            f"{counted(sizes[-1] if rows else 0, 'image')} of {counted(len(rows), 'image')} in "
            f"{counted(len(classes), 'class')}.",
            hint="Name the backbone with --backbone instead, or label more images.",
        )
    streams = plan_streams(config, extract)
    images = Images(drawable, extract.model_copy(update={"limit": None}))
    rules = Rules(
        sizes,
        config.keep,
        config.scoring,
        config.cv,
        config.seed,
        None if config.budget is None else read_seconds(config.budget),
    )
    y = np.array([classes.index(str(row.label)) for row in rows], np.int64)
    found = race(streams, images, y, _groups(drawable), rules, tell=console.log)
    return race_document(found, config, source=source, images=len(rows), n=n)


def _groups(manifest: Manifest) -> np.ndarray:
    """A number for each image that those of its group share."""
    names = [row.group or f"\0{i}" for i, row in enumerate(manifest.rows)]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)
