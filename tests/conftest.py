"""Fixtures that every area's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# As in the command line (cli/main.py), and before anything loads torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Machines are noisy, and no test asserts a time: no deadline for a single example.
settings.register_profile("featx", deadline=None)
settings.load_profile("featx")

REPOSITORY = Path(__file__).resolve().parent.parent


def _shared(relative: str) -> Path:
    path = REPOSITORY.parent / "shared" / relative
    if not path.exists():
        pytest.skip(f"real files are not here: ../shared/{relative} is absent")
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real images beside the repository; skips where it is absent."""
    return _shared("data")


@pytest.fixture(scope="session")
def shared_weights() -> Path:
    """ImageNet SqueezeNet 1.0 as safetensors; skips where it is absent."""
    return _shared("weights/squeezenet1_0.safetensors")
