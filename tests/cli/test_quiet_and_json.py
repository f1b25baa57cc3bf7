"""``-q`` prints errors alone, and ``--json`` one document, whatever the command."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import click
import pytest

from featx.api import demo
from featx.cli.main import featx as root
from tests.cli.conftest import BACKBONE, Featx

SMALL = ["--cv", "2", "-j", "1", "--estimate", "cv"]


@pytest.fixture
def verbs(featx: Featx, workspace: Path, run_folder: Path, tmp_path: Path) -> dict[str, list[str]]:
    """A command of each verb that does something, and leaves the workspace as it was."""
    cache = ["--cache", str(shutil.copytree(workspace / "cache", tmp_path / "cache"))]
    shards = (tmp_path / "cache").glob("*test_resnet*/shards/*.h5")
    extractor = min(shard.parent.parent.name for shard in shards)
    twin = str(shutil.copytree(run_folder, tmp_path / "twin"))
    to = str(tmp_path)
    return {
        "inspect": ["photos"],
        "extract": ["photos", *BACKBONE, *cache],
        "audit": ["photos", *BACKBONE, *cache, "-o", f"{to}/audit", "--folds", "2"],
        "fit": ["photos", *BACKBONE, *cache, *SMALL, "--runs", to, "--name", "r"],
        "score": ["runs/first", "new", *cache, "-o", f"{to}/s.csv"],
        "count": ["runs/first", "new", *cache],
        "similar": ["new/blue.png", "photos", *BACKBONE, *cache],
        "next": ["runs/first", "new", *cache, "-n", "2"],
        "race": ["photos", "--backbone", "featx:mini-v1", "--size", "32", "--rounds", "24",
                 "--apart", "1", *cache, "-o", f"{to}/race"],
        "compare": ["runs/first", twin],
        "report": [twin, *cache],
        "backbones": ["featx:"],
        "doctor": cache,
        "cache ls": cache,
        "cache verify": cache,
        "cache compact": cache,
        "cache gc": [*cache, "--dry-run"],
        "cache export": [extractor, *cache, "-o", f"{to}/x.npz"],
    }  # fmt: skip


#: What is tried elsewhere: each makes runs of its own, trains, or serves a page.
ELSEWHERE = {"demo", "export", "finetune", "run", "completion", "label", "open"}


def test_every_verb_is_tried(verbs: dict[str, list[str]]) -> None:
    context = click.Context(root)
    assert isinstance(root, click.Group)
    assert {verb.split()[0] for verb in verbs} | ELSEWHERE >= set(root.list_commands(context)) - {
        "evaluate"
    }


def test_quiet_verbs_say_nothing(featx: Featx, verbs: dict[str, list[str]]) -> None:
    for verb, words in verbs.items():
        result = featx(*verb.split(), *words, "-q")
        assert (result.code, result.out, result.err) == (0, "", ""), verb
    assert "Error: " in featx("-q", "inspect", "nowhere").err


def test_json_is_one_document_and_nothing_else(featx: Featx, verbs: dict[str, list[str]]) -> None:
    found = {}
    for verb, words in verbs.items():
        result = featx(*verb.split(), *words, "--json")
        assert result.code == 0, (verb, result.err)
        found[verb] = json.loads(result.out)
    assert found["cache export"]["rows"] >= 28
    assert Path(found["report"]["page"]).name == "report.html"
    assert found["compare"].keys() >= {"runs", "differences"}
    assert found["audit"]["images"] == 28
    for verb, document in found.items():
        rows = list(document.values()) if verb == "cache compact" else document
        first = rows[0] if isinstance(rows, list) else rows
        assert [key for key in documented(verb) if key not in first] == [], verb


def documented(verb: str) -> list[str]:
    """The keys that docs/cli.md names."""
    page = (Path(__file__).parents[2] / "docs/cli.md").read_text("utf-8")
    [cell] = re.findall(rf"^\| `{verb}` \| (.*) \|$", page, re.MULTILINE)
    keys = re.findall(r"`(\w+)`", cell.partition("; with")[0])
    assert keys
    return keys


@pytest.mark.parametrize("name", ["audit", "demo", "export", "finetune", "run", "report"])
def test_every_command_takes_json(name: str) -> None:
    assert isinstance(root, click.Group)
    command = root.get_command(click.Context(root), name)
    assert command is not None
    assert any("--json" in parameter.opts for parameter in command.params)


def test_the_demo_prints_where_everything_is(
    featx: Featx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    def run(*arguments: str) -> None:
        ran.append(arguments[0])
        (tmp_path / "d" / "scores.csv").write_text("path,prediction\n")

    monkeypatch.setattr(demo, "_run", run)
    monkeypatch.chdir(tmp_path)
    result = featx("demo", "--folder", "d", "--json")
    assert ran == ["inspect", "extract", "fit", "score"]
    made = json.loads(result.out)
    assert made["run"] == "d/runs/first"
    assert Path(made["images"]).is_dir()
    assert result.err == ""
