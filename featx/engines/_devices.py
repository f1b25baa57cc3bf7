"""Which devices this machine has."""

from __future__ import annotations

__all__ = ["list_devices"]


def list_devices() -> list[dict[str, str]]:
    """Every device that ``--device`` takes here, as ``{"device", "name"}``; the CPU comes last."""
    import platform

    import torch

    found = [
        {"device": f"cuda:{i}", "name": torch.cuda.get_device_name(i)}
        for i in range(torch.cuda.device_count())
    ]
    if torch.backends.mps.is_available():
        found.append({"device": "mps", "name": "Apple GPU"})
    cores = f"{torch.get_num_threads()} threads"
    found.append({"device": "cpu", "name": f"{platform.machine()}, {cores}"})
    return found
