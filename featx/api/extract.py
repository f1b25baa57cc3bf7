"""`featx.extract`: images in a data set to cached embeddings, with messages."""

from __future__ import annotations

import os
from typing import Any

from featx.artifact import Model
from featx.config import DatasetConfig, ExtractConfig
from featx.config.keywords import keywords, read_options
from featx.data.opening import open_data
from featx.extraction import Extraction
from featx.extraction.embedding import extract_manifest, extract_with_model


@keywords(DatasetConfig, ExtractConfig)
def extract(
    dataset: str | os.PathLike[str],
    *,
    model: Model | str | os.PathLike[str] | None = None,
    **options: Any,
) -> Extraction | list[Extraction]:
    """Embed every image of a data set with frozen backbones, once.

    Parameters
    ----------
    dataset : path
        Class folders, ``train/val/test`` folders of them, an unlabelled folder, or a CSV, TSV,
        JSONL or Parquet manifest.
    model : Model or path, optional
        A model, or what `featx.load_model` takes, whose backbone embeds the images as it does in
        `featx.score`: a fine-tuned one too.
    **options

    Returns
    -------
    Extraction or list of Extraction
        One embedding gives one `Extraction` with ``X`` of shape (n_ok, n_features) float32,
        ``y``, ``ids``, ``groups`` and ``splits`` of shape (n_ok,), and ``failures``. Several
        backbones, or ``separate=True`` outputs, give a list in the order asked.

    Raises
    ------
    UsageError
        An option is invalid.
    DatasetError, BackboneError, StoreError
        The data set, the backbone or the cache fails. Everything committed stays.

    Examples
    --------
    >>> e = featx.extract("photos/", backbone="featx:mini-v1")   # doctest: +SKIP
    >>> e.X.shape, e.y[:2]                                       # doctest: +SKIP
    ((351, 1152), array(['Basophil', 'Basophil'], dtype='<U10'))
    """
    data, config = read_options(extract, dataset=dataset, **options)
    manifest = open_data(data)
    if model is None:
        found = extract_manifest(manifest, config)
    else:
        found = extract_with_model(manifest, model, config)
    return found[0] if len(found) == 1 else found
