"""Every console block and Python example of the pages that teach is run, as it stands there."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.lab import Featx, in_process, save_pixels

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", DOCS / "tutorial.md", *sorted((DOCS / "howto").glob("*.md"))]

#: Pages whose runs are shown as they are, with the default backbones and the page of each run.
AS_SHOWN = {"tutorial.md"}


def tool(name: str) -> Any:
    """The module ``docs/_tools/<name>.py``."""
    path = DOCS / "_tools" / f"{name}.py"
    location = importlib.util.spec_from_file_location(f"docs_{name}", path)
    assert location is not None
    assert location.loader is not None
    module = importlib.util.module_from_spec(location)
    sys.modules[f"docs_{name}"] = module  # dataclasses look for their module there
    location.loader.exec_module(module)
    return module


blocks = tool("blocks")
COLOURS = {"fern": (40, 130, 50), "moss": (110, 140, 60), "flower": (200, 60, 120)}


def paint(path: Path, colour: tuple[int, int, int], rng: np.random.Generator) -> None:
    pixels = np.array(colour) + rng.normal(0, 30, (32, 32, 3)) + rng.normal(0, 40, 3)
    save_pixels(path, pixels)


def photographs(root: Path, folder: str, counts: dict[str, int], rng: np.random.Generator) -> None:
    for (name, count), colour in zip(counts.items(), COLOURS.values(), strict=False):
        for i in range(count):
            paint(root / folder / name / f"{i:02}.png", colour, rng)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages take for granted: photographs, parts, cells of patients, and new ones."""
    root = tmp_path_factory.mktemp("samples")
    rng = np.random.default_rng(0)
    photographs(root, "photos", {"fern": 24, "moss": 18, "flower": 12}, rng)
    photographs(root, "parts", {"good": 48, "scratch": 12}, rng)
    for folder in ("cells", "other_cells"):
        photographs(root, folder, {"healthy": 30, "ill": 30}, rng)
        rows = [
            f"{folder}/{label}/{i:02}.png,{label},{label[0]}{i // 5}"
            for label in ("healthy", "ill")
            for i in range(30)
        ]
        (root / f"{folder}.csv").write_text("\n".join(["path,label,patient", *rows, ""]))
    for folder in ("new_photos", "new_parts"):
        for i, colour in enumerate(COLOURS.values()):
            paint(root / folder / f"{i}.png", colour, rng)
        (root / folder / "broken.png").write_bytes(b"")
    return root


@pytest.fixture
def featx(
    tmp_path: Path,
    samples: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Featx:
    """Run ``featx ARGUMENTS`` in a folder of the samples."""
    shutil.copytree(samples, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("COLUMNS", "100")  # as in docs/_tools/refresh.py
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    return in_process(capfd)


def shell(line: str) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stdout}"
    return done.stdout


def succeeding(featx: Featx) -> Callable[[list[str]], str]:
    def run(arguments: list[str]) -> str:
        outcome = featx(*arguments)
        assert outcome.code == 0, f"featx {' '.join(arguments)}\n{outcome.err}"
        return outcome.out + outcome.err

    return run


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_examples_run_and_print_what_the_page_shows(
    page: Path, featx: Featx, monkeypatch: pytest.MonkeyPatch
) -> None:
    if page.name in AS_SHOWN:
        monkeypatch.delenv("FEATX_BACKBONE", raising=False)
        monkeypatch.delenv("FEATX_REPORT", raising=False)
    for command, printed in blocks.run_page(page, succeeding(featx), shell):
        assert not blocks.missing(command, printed), f"{command.line} printed:\n{printed}"


def test_the_runner_finds_what_is_wrong(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- before: echo 1 -->\n```console\n$ echo one \\\n    two   # words\none two\n```\n"
        "<!-- not run: no network -->\n```console\n$ false\n```\n```python\nx = 1\n```\n"
        "```python\nassert x == 2\n```\n"
    )
    found = list(blocks.blocks(page.read_text()))
    assert [b.language for b in found] == ["before", "console", "console", "python", "python"]
    assert [b.reason for b in found] == [None, None, "no network", None, None]
    ran = []
    with pytest.raises(AssertionError):
        ran.extend(blocks.run_page(page, featx=lambda a: "", shell=shell))
    command = found[1].commands[0]
    assert command.line.split() == ["echo", "one", "two"]
    assert blocks.missing(command, "one two\n") == []
    assert blocks.missing(command, "one three\n") == ["one two"]
    assert blocks.alike("Took 3.5 s ───") == blocks.alike("Took 12 s ──")
    printed = ["a 9", "B", "0 1", "5 2", "9 7", "e"]
    shown = blocks.shortened(["a 1", "b", "...", "9 0", "e"], printed)
    assert shown == ["a 9", "B", "...", "9 7", "e"]
    with pytest.raises(ValueError, match="not printed any more: c"):
        blocks.shortened(["...", "c"], printed)
