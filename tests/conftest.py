"""Fixtures that every area's tests share."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from featx import console

# Converted networks and what is known of backbones: shared by all tests of a run, and by no other.
if "FEATX_NETWORKS" not in os.environ:  # set where this process is one of pytest-xdist's
    os.environ["FEATX_NETWORKS"] = tempfile.mkdtemp(prefix="featx-networks-")
    atexit.register(shutil.rmtree, os.environ["FEATX_NETWORKS"], ignore_errors=True)

# The many small fits need no strong features: those that test the default backbone ask for it.
os.environ.setdefault("FEATX_BACKBONE", "featx:mini-v1")

# The many small fits of the tests make no page; those that test it ask for it.
os.environ.setdefault("FEATX_REPORT", "0")

# As in the command line (cli/main.py), and before anything loads torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# The tests' matrices are small: threads of NumPy's that share them would mostly wait, spinning.
assert "numpy" not in sys.modules, "NumPy must be loaded after this"
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Machines are noisy, and no test asserts a time: no deadline for a single example.
settings.register_profile("featx", deadline=None)
settings.load_profile("featx")

REPOSITORY = Path(__file__).resolve().parent.parent
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update",
         "--disable-sync"]  # fmt: skip
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")


def _shared(relative: str) -> Path:
    path = REPOSITORY.parent / "shared" / relative
    if not path.exists():
        pytest.skip(f"real files are not here: ../shared/{relative} is absent")
    return path


@pytest.fixture(autouse=True)
def usual_verbosity() -> Iterator[None]:
    """Commands run inside a test set the verbosity of the whole process."""
    yield
    console.set_verbosity(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real images beside the repository; skips where it is absent."""
    return _shared("data")


@pytest.fixture(scope="session")
def shared_weights() -> Path:
    """ImageNet SqueezeNet 1.0 as safetensors; skips where it is absent."""
    return _shared("weights/squeezenet1_0.safetensors")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium; skips where there is none."""
    path = os.environ.get("FEATX_CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUMS)), "")
    if not path:
        pytest.skip("no Chromium is found: install one, or name it in FEATX_CHROMIUM")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()
