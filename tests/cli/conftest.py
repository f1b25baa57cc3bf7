"""The command line on a small data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.lab import NETWORK, Featx, flags, in_folder, save_pixels

BACKBONE = flags(NETWORK)
COLOURS = {"blue": (30, 40, 200), "green": (40, 190, 50), "red": (200, 40, 30)}


@pytest.fixture
def featx(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, workspace: Path
) -> Featx:
    """Run ``featx ARGUMENTS`` in the workspace."""
    return in_folder(workspace, capfd, monkeypatch)


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``photos/{blue,green,red}`` (12, 10, 6 images), ``new/`` with a broken file, ``one/``."""
    root = tmp_path_factory.mktemp("workspace")
    rng = np.random.default_rng(0)
    for (name, colour), count in zip(COLOURS.items(), (12, 10, 6), strict=True):
        for i in range(count):
            paint(root / "photos" / name / f"{i:02}.png", colour, rng)
        paint(root / "new" / f"{name}.png", colour, rng)
    (root / "new" / "broken.png").write_bytes(b"")
    for i in range(3):
        paint(root / "one" / "only" / f"{i}.png", (9, 9, 9), rng)
    return root


def paint(path: Path, colour: tuple[int, int, int], rng: np.random.Generator) -> None:
    """A noisy 40×40 image of one colour."""
    save_pixels(path, np.array(colour) + rng.integers(-30, 31, (40, 40, 3)))


@pytest.fixture
def run_folder(featx: Featx, workspace: Path) -> Path:
    """A run named ``first``, fitted once for the session."""
    folder = workspace / "runs" / "first"
    if not folder.exists():
        result = featx("fit", "photos", *BACKBONE, "--name", "first", "--cv", "3", "-j", "1")
        assert result.code == 0, result.err
    return folder
