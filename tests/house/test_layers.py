"""Imports run one way, and nothing heavy is loaded before it is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
LINT = Path(sys.executable).with_name("lint-imports")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [str(LINT), "--no-cache"], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_imports_run_downward_only() -> None:
    result = lint(REPOSITORY)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("floor", "statement"),
    [
        ("data/manifest.py", "from featx.cli import main"),
        ("store/store.py", "import featx.data.manifest"),
        ("extraction/__init__.py", "def late():\n    import featx.fitting"),
        ("runs/finished.py", "def late():\n    import featx.extraction"),
        ("api/fit.py", "import torch"),
        ("heads/_mlp.py", "def late():\n    import torch"),
    ],
)
def test_the_check_can_fail(tmp_path: Path, floor: str, statement: str) -> None:
    shutil.copytree(REPOSITORY / "featx", tmp_path / "featx")
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    with (tmp_path / "featx" / floor).open("a") as file:
        file.write(f"\n{statement}\n")
    result = lint(tmp_path)
    assert result.returncode == 1
    assert "BROKEN" in result.stdout


HEAVY = ["torch", "torchvision", "timm", "sklearn", "imblearn", "scipy", "matplotlib", "numpy"]


@pytest.mark.parametrize(
    "code",
    [
        "import featx",
        "import featx.cli.main as m\ntry:\n    m.main(['--help'])\nexcept SystemExit:\n    pass",
        "import featx.cli.main as m\n"
        "try:\n    m.main(['fit', '--help'])\nexcept SystemExit:\n    pass",
    ],
    ids=["import featx", "featx --help", "featx fit --help"],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    probe = f"{code}\nimport sys\nsys.stderr.write(repr([m for m in {HEAVY} if m in sys.modules]))"
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert result.stderr == "[]"
