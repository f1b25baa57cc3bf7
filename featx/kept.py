"""What featx found out about networks and keeps for the next run, beside no data set's cache.

Everything here can be made again: a file that is missing, stale or damaged costs time, never an
answer. Nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from featx import console
from featx.files import make_directory, read_bounded, write_atomic
from featx.sealed import seal_line, unseal_line
from featx.types import canonical_json

MAX_BYTES = 1 << 24


def kept_folder() -> Path:
    """Where things are kept: ``$FEATX_NETWORKS``, else ``networks`` in the user's own cache."""
    chosen = os.environ.get("FEATX_NETWORKS")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("featx", appauthor=False) / "networks"


def kept_key(document: dict[str, Any]) -> str:
    """32 hexadecimal digits that stand for ``document``."""
    return hashlib.sha256(canonical_json(document)).hexdigest()[:32]


def read_kept(name: str) -> dict[str, Any] | None:
    """The JSON object kept as ``name``; None where there is none, or not as it was written."""
    try:
        line = read_bounded(kept_folder() / f"{name}.json", MAX_BYTES)
        document = unseal_line(line, name)
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def write_kept(name: str, document: dict[str, Any]) -> None:
    """Keep a JSON object; where that is impossible the next run computes it again."""
    path = kept_folder() / f"{name}.json"
    try:
        make_directory(path.parent)
        write_atomic(path, seal_line(document, name))
    except OSError as error:
        console.detail(f"{path} cannot be kept: {error.strerror or error}")
