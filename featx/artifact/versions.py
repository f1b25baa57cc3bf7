"""Library versions at the time of fitting, and now."""

from __future__ import annotations

import importlib.metadata
import platform

from featx.files import printable


def library_versions() -> dict[str, str]:
    """Versions of what a saved model depends on, read without importing any of it."""
    names = ("featx", "scikit-learn", "numpy", "torch", "torchvision", "timm", "pillow")
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def compare_versions(written: dict[str, str]) -> str | None:
    """What to do when scikit-learn's major.minor is not the one the head was saved with."""
    saved, installed = written.get("scikit-learn", "?"), importlib.metadata.version("scikit-learn")
    if saved.split(".")[:2] == installed.split(".")[:2]:
        return None
    return (
        f"The head was fitted with scikit-learn {printable(saved)}, and {installed} is installed; "
        f"if results look wrong: pip install 'scikit-learn=={printable(saved)}', or fit again."
    )
