"""`featx doctor`: what this machine has, what is missing, and how to get it."""

from __future__ import annotations

from typing import Any

from featx.extraction.checkup import check_machine
from featx.store import cache_folder


def doctor(cache: str | None = None) -> dict[str, Any]:
    """Look at the machine without changing it.

    Parameters
    ----------
    cache : str, optional
        The cache folder; by default ``$FEATX_CACHE``, else ``./cache``.

    Returns
    -------
    dict
        ``python``, ``platform``, ``versions``, ``devices``, ``engine`` (what extraction uses when
        left to choose), ``networks`` (where converted ones are kept), ``cache``, ``weights``,
        ``plugins`` (of other packages, each with ``kind``, ``name``, ``package``, ``version`` and
        ``fault``), ``environment`` and ``advice``, a list of sentences on what is missing.
    """
    return check_machine(cache_folder(cache))
