"""``--range auto``: found once for a data set, and from then on a range like any other."""

from __future__ import annotations

from featx import console
from featx.config import ExtractConfig
from featx.data.manifest import Manifest
from featx.data.valuerange import range_of_files

__all__ = ["settle_range"]


def settle_range(manifest: Manifest, config: ExtractConfig) -> ExtractConfig:
    """The configuration with the range that ``auto`` means for these images; else as it is.

    Images of the test split play no part.
    """
    if config.range != "auto":
        return config
    rows = (manifest if config.limit is None else manifest.head(config.limit)).rows
    paths = [row.path for row in rows if row.split != "test"]
    found, why = range_of_files(paths, workers=config.workers)
    console.log(f"--range auto is {found}: {why}.")
    return config.model_copy(update={"range": found})
