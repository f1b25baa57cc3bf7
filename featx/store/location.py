"""Where the cache is."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder(value: str | os.PathLike[str] | None = None) -> Path:
    """Return the cache folder: ``value``, else ``$FEATX_CACHE``, else ``cache`` here.

    Parameters
    ----------
    value : str or path, optional
        What the user asked for; ``~`` is expanded. Empty counts as not given.

    Returns
    -------
    Path
        Absolute; it need not exist.
    """
    return Path(value or os.environ.get("FEATX_CACHE") or "cache").expanduser().absolute()
