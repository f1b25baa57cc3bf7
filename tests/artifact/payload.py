"""Hostile models: what they would run, how they are forged, and what reading one may cost."""

from __future__ import annotations

import hashlib
import json
import os
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from featx.artifact.document import _digest

Change = Callable[[dict[str, Any]], None]


class Payload:
    """Creates a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def forge(
    folder: Path, change: Change | None = None, files: Mapping[str, bytes] | None = None
) -> None:
    """Replace files of a saved model and change ``model.json``; every digest fits the files."""
    path = folder / "model.json"
    values = json.loads(path.read_bytes())
    values.pop("sha256")
    for name, data in (files or {}).items():
        (folder / name).write_bytes(data)
    for name in values["files"]:
        data = (folder / name).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        values["files"][name] = {"size_bytes": len(data), "sha256": digest}
    if change is not None:
        change(values)
    values["sha256"] = _digest(values)
    path.write_text(json.dumps(values))


@contextmanager
def little_memory() -> Iterator[None]:
    """Fail when the block allocates more than 20 MB at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
