"""`featx.score`: a model and a folder of new images to one row per file."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from featx import console
from featx.artifact import Model, load_model
from featx.config import BACKBONE_FIELDS, DatasetConfig, ExtractConfig, ScoreConfig
from featx.config.options import sections
from featx.data.opening import open_data
from featx.errors import UsageError
from featx.extraction.used import check_cache, used_by
from featx.outputs import Claims, claimed
from featx.reporting.summaries.thresholds import threshold_sentence
from featx.runs.estimates import Decided
from featx.runs.thresholds import model_with_threshold
from featx.scoring.folder import extract_again, outputs_of, predict_rows, write_scores
from featx.scoring.scores import Scores

__all__ = ["score"]


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
        Cache, device and the like. What decides the embedding is the model's, except ``weights``
        (a file that has moved since the model was fitted).
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
    named = "" if isinstance(model, Model) else os.fspath(model)
    loaded, in_force = model_with_threshold(
        loaded, named or None, config.threshold, config.prevalence
    )
    if not isinstance(images, DatasetConfig):
        images = DatasetConfig(dataset=os.fspath(images))
    with claimed(outputs_of(output, config), used_by(images, extract, model=model)) as claims:
        return _score(loaded, in_force, named, images, output, config, extract, claims)


def _score(
    model: Model,
    in_force: Decided | None,
    named: str,
    images: DatasetConfig,
    output: str | os.PathLike[str] | None,
    config: ScoreConfig,
    extract: ExtractConfig,
    claims: Claims,
) -> Scores:
    """The scoring itself, once its outputs are claimed."""
    manifest = open_data(images, labelled=False)
    claims.spare("the images", manifest.paths)
    check_cache(manifest, extract.cache)
    if in_force is not None:
        console.log(f"{threshold_sentence(in_force.document())}.")
    extractions = extract_again(model, manifest, config, extract)
    scores = predict_rows(model, extractions, config)
    scores = replace(scores, threshold=None if in_force is None else in_force.document())
    scores = write_scores(scores, extractions[0], output, config, claims)
    if config.report is None:
        return scores
    from featx.reporting.score_page import add_page  # drawing is imported where it is used

    place = claims.place(config.report)
    return add_page(model, named, extractions, scores, place, config, images, extract)


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
