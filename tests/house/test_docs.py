"""Every featx command that the documentation shows exists, with every flag it is shown with."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from featx.cli.main import featx

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [
    *(REPOSITORY / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY", "RELEASING")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
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
    assert len(commands(PAGES[0])) >= 4


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


def benchmark(name: str) -> Any:
    """The module ``benchmarks/<name>.py``."""
    location = importlib.util.spec_from_file_location(
        f"benchmark_{name}", REPOSITORY / f"benchmarks/{name}.py"
    )
    assert location is not None
    assert location.loader is not None
    module = importlib.util.module_from_spec(location)
    sys.modules[f"benchmark_{name}"] = module  # dataclasses look for their module there
    sys.path.insert(
        0, str(REPOSITORY / "benchmarks")
    )  # where it finds those beside it, as run alone
    try:
        location.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


def measured(name: str) -> Any:
    """What the benchmark ``name`` wrote."""
    return json.loads((REPOSITORY / f"benchmarks/results/{name}.json").read_text("utf-8"))


def test_performance_is_what_was_measured() -> None:
    page = (REPOSITORY / "docs/performance.md").read_text("utf-8")
    extract = benchmark("extract")
    extraction = measured("extract")
    for backbone, found in extraction["backbones"].items():
        assert extract.table(backbone, found) in page
    assert extract.spread(extraction["photographs_of_6_megapixels"]["times_reference"]) in page
    for n, row in measured("memory")["images"].items():
        assert f"{row['peak_mb']} MB over {int(n):,}" in page
    start = measured("startup")
    figures = [start["score"][case]["best_s"] for case in ("network_kept", "embeddings_cached")]
    figures += [row["best_s"] for row in start["commands"] if row["name"] == "featx --help"]
    assert all(f"{seconds} s" in page for seconds in figures)
    for row in start["models"]:
        assert f"{row['head']} {row['ratio']['median']} times as fast" in page
    assert benchmark("numerics").table(measured("numerics")) in page
    assert benchmark("fit_cost").table(measured("fit_cost")) in page


def test_the_evidence_is_what_was_measured() -> None:
    page = (REPOSITORY / "docs/evidence.md").read_text("utf-8")
    assert benchmark("real").table(measured("real")["runs"]) in page
    assert benchmark("coverage").table(measured("coverage")["rows"]) in page
    sides = measured("extract")["backbones"]["resnet50"]["sides"]
    assert f"{sides['featx openvino bf16']['times timm fp32'][1]} times" in page
    promises = benchmark("promises").tables(measured("promises")["rows"])
    assert all(table in page for table in promises.split("\n\n"))
    assert benchmark("fit").table(measured("fit")) in page
    assert benchmark("finetune").table(measured("finetune")) in page
    rows = {row["head"]: row for row in measured("fit")["heads"]}
    assert all(f"{value:.4f}" in page for value in rows["logreg"]["from_tight"].values())


def test_the_page_of_fine_tuning_shows_what_was_measured() -> None:
    page = (REPOSITORY / "docs/finetune.md").read_text("utf-8")
    script, cells = benchmark("finetune_real"), measured("finetune_real")["cells"]
    assert script.table(cells) in page
    assert script.verdicts(cells) in page


def test_the_audit_page_shows_what_was_measured() -> None:
    page = (REPOSITORY / "docs/audit.md").read_text("utf-8")
    audit, found = benchmark("audit"), measured("audit")
    for table in (audit.tables, audit.table_of_none, audit.table_of_shortcuts,
                  audit.table_of_labels, audit.table_of_outliers):  # fmt: skip
        assert table(found) in page
    assert benchmark("audit_scale").table(measured("audit_scale")) in page


def test_the_page_of_counts_shows_what_was_measured() -> None:
    page = (REPOSITORY / "docs/counting.md").read_text("utf-8")
    counting, found = benchmark("counting"), measured("counting")
    assert counting.table(found) in page
    assert counting.audit_table(found) in page


def test_the_labelling_page_shows_how_long_a_batch_takes() -> None:
    page = (REPOSITORY / "docs/labelling.md").read_text("utf-8")
    assert benchmark("labelling_speed").table(measured("labelling_speed")) in page


def test_the_report_page_shows_what_was_measured() -> None:
    page = (REPOSITORY / "docs/report.md").read_text("utf-8")
    assert benchmark("report").table(measured("report")) in page
    assert benchmark("drift").tables(measured("drift")) in page


def test_the_page_of_races_shows_what_was_measured() -> None:
    page = (REPOSITORY / "docs/race.md").read_text("utf-8")
    found = measured("race")
    assert benchmark("race").table(found) in page
    for name, row in found["rows"].items():
        ranks = (f"{row['rank_correlation'][how]:.2f}" for how in ("logme", "ridge"))
        assert f"{name} {' against '.join(ranks)}" in page


def test_the_page_of_protocols_shows_what_was_measured() -> None:
    page = (REPOSITORY / "docs/protocols.md").read_text("utf-8")
    assert benchmark("protocols").table(measured("protocols")) in page


def test_every_test_file_has_a_name_of_its_own() -> None:
    """Folders of tests are no packages, so pytest would collect only one of two namesakes."""
    files = [
        path.name
        for path in (REPOSITORY / "tests").rglob("test_*.py")
        if not (path.parent / "__init__.py").exists()
    ]
    assert sorted(set(files)) == sorted(files)


def test_the_recommended_backbones_are_those_of_the_command() -> None:
    from featx.backbones import measured_on, recommended

    page = (REPOSITORY / "docs/backbones.md").read_text("utf-8")
    assert benchmark("recommended").markdown(recommended()) in page
    assert measured_on() in page
