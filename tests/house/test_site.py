"""The documentation builds into a site without a warning, and its notebooks run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; notebooks are shown as they are, and executed below."""
    pytest.importorskip("furo", reason="needs featx[docs]")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "-q", "-E"]
    built = subprocess.run(
        [*command, "-d", str(folder / "trees"), str(DOCS), str(folder / "html")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder / "html"


def test_every_page_is_built(site: Path) -> None:
    for page in (*DOCS.rglob("*.md"), *NOTEBOOKS):
        assert (site / page.relative_to(DOCS)).with_suffix(".html").is_file()


def test_links_into_pages_lead_to_a_heading(site: Path) -> None:
    """Sphinx checks references; this checks what it wrote."""
    text = {page: page.read_text("utf-8") for page in site.rglob("*.html")}
    for page, html in text.items():
        for target, anchor in re.findall(r'href="([^":#?]*\.html)?#([^"]+)"', html):
            there = (page.parent / target).resolve() if target else page
            assert f'id="{anchor}"' in text[there], f"{page.name} links to {target}#{anchor}"


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        html = page.read_text("utf-8")
        loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?:[^"]+)"', html)
        assert not loaded, page.name


def test_the_reference_is_made_from_the_code(site: Path) -> None:
    import featx
    from featx.cli.main import featx as command
    from featx.config import FitConfig

    keys = (site / "reference/keys.html").read_text("utf-8")
    assert all(f">{name}<" in keys for name in FitConfig.model_fields)
    api = (site / "reference/api.html").read_text("utf-8")
    names = [name for name in featx.__all__ if not name.startswith("_")]
    assert [name for name in names if f'id="featx.{name}"' not in api] == []
    commands = (site / "reference/commands.html").read_text("utf-8")
    assert all(f'id="featx-{name}"' in commands for name in command.list_commands(None))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="needs featx[test]")
    nbformat = pytest.importorskip("nbformat", reason="needs featx[test]")

    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    client = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()


def test_the_container_sets_variables_that_featx_reads() -> None:
    text = (DOCS / "howto/Dockerfile").read_text("utf-8")
    code = "".join(path.read_text("utf-8") for path in (REPOSITORY / "featx").rglob("*.py"))
    variables = re.findall(r"(FEATX_\w+|HF_\w+)=", text)
    assert variables
    assert all(f'"{name}"' in code for name in variables)
    (folder,) = re.findall(r"--find-links (\S+)", text)
    assert f"COPY wheels {folder}\n" in text


def test_pictures_are_small() -> None:
    sizes = [path.stat().st_size for path in (DOCS / "pictures").iterdir()]
    assert max(sizes) < 150_000
    assert sum(sizes) < 1_000_000
