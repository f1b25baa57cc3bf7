"""Which pretrained weights are on this machine, told by files alone where that is possible."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from featx.backbones._listing import list_backbones

FOLDER = Path(__file__).parent / "weights"  # of the backbones that come with featx
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def weights_here() -> list[str]:
    """Names of the backbones whose weights need no download.

    Importing a zoo takes seconds. It is asked only where torch.hub's folder holds files, whose
    names it alone can tell; the Hugging Face cache names its networks itself.
    """
    if any(_torch_hub().glob("*.pt*")):
        return [row.name for row in list_backbones() if row.on_this_machine]
    return [*_own(), *sorted(_of_timm())]


def _own() -> Iterator[str]:
    """Those that come with featx, or with a package that is installed."""
    for path in sorted(FOLDER.glob("*.json")):
        weights = find_weights(FOLDER, path.stem, json.loads(path.read_text("utf-8")))
        if weights is not None and weights.is_file():
            yield f"featx:{path.stem}"


def find_weights(folder: Path, name: str, spec: dict[str, Any]) -> Path | None:
    """Where the weights of a backbone of featx lie, in ``folder`` or an installed package.

    None where that package is not installed.
    """
    weights = spec["weights"]
    if "package" not in weights:
        return folder / f"{name}.safetensors"
    found = importlib.util.find_spec(weights["module"])  # a top-level name: nothing is imported
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0]) / weights["file"]


def _of_timm() -> Iterator[str]:
    """Those in the Hugging Face cache: ``models--timm--NAME``."""
    home = os.environ.get("HF_HOME") or Path(_cache_home(), "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(home, "hub")).expanduser()
    for folder in hub.glob("models--timm--*"):
        if any(path.name in _WEIGHTS for path in folder.glob("snapshots/*/*")):
            yield f"timm:{folder.name.removeprefix('models--timm--')}"


def _torch_hub() -> Path:
    home = os.environ.get("TORCH_HOME") or Path(_cache_home(), "torch")
    return Path(home, "hub", "checkpoints").expanduser()


def _cache_home() -> str:
    return os.environ.get("XDG_CACHE_HOME") or "~/.cache"
