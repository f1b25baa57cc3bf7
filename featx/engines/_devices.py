"""Which devices this machine has."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from featx.console import counted
from featx.machine import cpu_cores

_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd", "C:/Windows/System32/nvcuda.dll")


def may_have_gpu() -> bool:
    """Whether it is worth asking torch for a GPU; asking costs its import."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return any(Path(driver).exists() for driver in _DRIVERS)


def list_devices() -> list[dict[str, str]]:
    """Every device that ``--device`` takes here, as ``{"device", "name"}``; the CPU comes last."""
    cpu = {"device": "cpu", "name": f"{platform.machine()}, {counted(cpu_cores(), 'core')}"}
    if not may_have_gpu():
        return [cpu]
    import torch

    found = [
        {"device": f"cuda:{i}", "name": torch.cuda.get_device_name(i)}
        for i in range(torch.cuda.device_count())
    ]
    if torch.backends.mps.is_available():
        found.append({"device": "mps", "name": "Apple GPU"})
    return [*found, cpu]
