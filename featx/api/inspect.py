"""`featx.inspect`: what is in a data set, before anything is spent on it."""

from __future__ import annotations

import os
from typing import Any

from featx.config import DatasetConfig
from featx.config.keywords import keywords, read_options
from featx.data.findings import Inspection
from featx.data.inspection import inspect_manifest
from featx.data.opening import open_data


@keywords(DatasetConfig)
def inspect(
    dataset: str | os.PathLike[str], *, workers: int | None = None, **options: Any
) -> Inspection:
    """Count, measure and check the images of a data set.

    Parameters
    ----------
    dataset : path
        See `featx.extract`.
    workers : int, optional
        Decoding threads; by default one for each CPU core.
    **options

    Returns
    -------
    Inspection
        Classes, groups, splits, sizes, formats, broken files and exact duplicates; ``document()``
        gives all of it as JSON.

    Raises
    ------
    UsageError, DatasetError
        The data set does not exist or cannot be read as asked.
    """
    (data,) = read_options(inspect, dataset=dataset, **options)
    return inspect_manifest(open_data(data, quiet=True), workers=workers)
