"""Every featx command that the documentation shows exists, with every flag it is shown with."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from featx.cli.main import featx

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
CONFIGS = sorted((REPOSITORY / "configs").glob("*.yaml"))


def commands(page: Path) -> list[str]:
    """Lines such as ``$ featx extract photos/  # words`` and `featx ...` in running text."""
    text = page.read_text("utf-8")
    shown = re.findall(r"^\$ (?:\S*/)?(featx .*?)(?:\s+#.*)?$", text, re.MULTILINE)
    return shown + [c for c in re.findall(r"`(featx [^`]+)`", text) if "|" not in c]


def resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    command: click.Command = featx
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        context = click.Context(command)
        below = command.get_command(context, words[0])
        assert below is not None, f"no such command: {words[0]}"
        command, words = below, words[1:]
    return command, words


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_in_the_documentation_exist(page: Path) -> None:
    for line in commands(page):
        command, words = resolve(shlex.split(line)[1:])
        known = {"--help", "--version"}
        for parameter in command.params:
            known |= {*parameter.opts, *parameter.secondary_opts}
        for word in words:
            if word.startswith("-") and word != "-":
                assert word.partition("=")[0] in known, f"{page.name}: {line}"


def test_the_check_sees_the_readme() -> None:
    assert len(commands(PAGES[0])) > 8


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.name)
def test_example_configurations_are_valid_and_open_with_their_command(path: Path) -> None:
    from featx.config import load_config

    load_config(str(path), overrides=("data.dataset=x",))
    head = path.read_text("utf-8").split("data:")[0]
    for word in (f"featx run configs/{path.name}", "Runtime", "Expect"):
        assert word in head


def test_the_evidence_is_what_was_measured() -> None:
    import importlib.util
    import json

    location = importlib.util.spec_from_file_location("real", REPOSITORY / "benchmarks/real.py")
    assert location is not None
    assert location.loader is not None
    real = importlib.util.module_from_spec(location)
    location.loader.exec_module(real)
    page = (REPOSITORY / "docs/evidence.md").read_text("utf-8")
    measured = json.loads((REPOSITORY / "benchmarks/results/real.json").read_text("utf-8"))
    assert real.table(measured["runs"]) in page
    extraction = json.loads((REPOSITORY / "benchmarks/results/extract.json").read_text("utf-8"))
    assert f"{extraction['speedup']['median']} times" in page
    fit = json.loads((REPOSITORY / "benchmarks/results/fit.json").read_text("utf-8"))
    for row in fit["heads"]:
        assert f"{row['head']} {row['speedup']['median']} times" in page
