"""The model card: what it says, who can read it, and that no name breaks out of it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import featx
from featx.files import printable
from featx.reporting.blocks import Table
from featx.reporting.card import Carded, write_card
from featx.reporting.markdown import fenced, markdown
from featx.runs import again_command

HOSTILE = ["a|b", "`x`", "---", "new\nline", "<script>alert(1)</script>", "[x](http://e.vil)",
           "*b* _c_ __d__", "$1$ ~~s~~", "\\|", "&lt;", "![i](j)", "www.e.vil", ":tada:", "\u202e",
           "# no heading", "- no: item", "\udcff"]  # fmt: skip
RENDERER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def card_of(run: Any) -> str:
    return (run.folder / "model" / "README.md").read_text("utf-8")


def shown(markdown: str) -> list[list[str]]:
    """The cells of the tables of a page, as text; fails where anything but text is in one."""
    rows: list[list[str]] = []
    for token in RENDERER.parse(markdown):
        if token.type == "tr_open":
            rows.append([])
        if token.type == "inline" and rows and token.level == 4:
            children = token.children or []
            assert {c.type for c in children} <= {"text", "text_special"}, token.content
            rows[-1].append("".join(c.content for c in children))
    return rows


def test_the_head_is_what_the_hub_reads(run: Any) -> None:
    from huggingface_hub import ModelCard

    card = ModelCard(card_of(run))
    data = card.data
    assert (data.library_name, data.pipeline_tag) == ("featx", "image-classification")
    assert data.model_name == "first"
    metrics = run.results["estimate"]["metrics"]
    by_name = {result.metric_name.partition(" (")[0]: result for result in data.eval_results}
    assert by_name["Accuracy"].metric_value == pytest.approx(metrics["accuracy"]["value"], abs=1e-6)
    balanced = by_name["Balanced accuracy"]
    assert (balanced.metric_type, balanced.metric_args) == ("recall", {"average": "macro"})
    assert balanced.metric_value == pytest.approx(metrics["balanced_accuracy"]["value"], abs=1e-6)
    assert all(result.task_type == "image-classification" for result in data.eval_results)
    assert not {"license", "language", "base_model"} & data.to_dict().keys()  # it knows of none


def test_it_says_what_results_say(run: Any) -> None:
    card, results = card_of(run), run.results
    accuracy = results["estimate"]["metrics"]["accuracy"]
    assert f"{accuracy['value']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}]" in card
    assert results["estimate"]["interval"] in card
    assert f"featx run {run.folder}/config.yaml --set fit.overwrite=true" in card
    document = json.loads((run.folder / "model" / "model.json").read_text())
    assert document["sha256"] in card
    assert results["dataset"]["sha256"] in card
    assert "random weights, trained on nothing" in card
    assert "| files that could not be read | 1 |" in card
    assert "It has seen few images of" in card
    assert "No groups were named" in card


def test_every_class_keeps_its_row(run: Any) -> None:
    cells = [row for row in shown(card_of(run)) if len(row) == 7]
    assert sorted(row[0] for row in cells) == sorted(["class", *run.results["classes"]])


def test_the_configuration_in_it_makes_the_same_run(run: Any) -> None:
    from featx.config import load_config

    block = card_of(run).split("```yaml\n")[1].split("\n```")[0]
    path = run.folder.parent / "again.yaml"
    path.write_text(block)
    assert load_config(str(path)) == load_config(str(run.folder / "config.yaml"))


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_more_than_text(run: Any, name: str) -> None:
    renamed = json.dumps(
        [run.results.document(), json.loads((run.folder / "model" / "model.json").read_text())]
    ).replace('"green"', json.dumps(name))
    results, document = json.loads(renamed)
    environment = json.loads((run.folder / "environment.json").read_text())
    results["dataset"]["source"] = f"photos/{name}"
    asked = {"data": {"dataset": name}, "fit": {"name": name}}
    command = again_command(Path("runs") / name, "fit")
    card = write_card(Carded(name, results, environment, command, document, asked))
    card.encode()
    _, head, body = card.split("---\n", 2)
    assert yaml.safe_load(head)["model-index"][0]["name"] == printable(name)
    tokens = RENDERER.parse(body)
    kinds = {t.type for t in tokens} | {c.type for t in tokens for c in t.children or []}
    assert not kinds & {
        "html_block",
        "html_inline",
        "image",
        "link_open",
        "em_open",
        "hr",
        "s_open",
    }
    assert [t.tag for t in tokens if t.type == "heading_open"] == ["h1"] + ["h2"] * 8
    assert any(row[0] == printable(name) for row in shown(body) if len(row) == 7)


@given(st.text())
def test_any_text_comes_back_from_a_table(name: str) -> None:
    rows = shown(markdown("t", [Table(["name", "x"], [[f"a{name}b", "1"]])]))
    assert rows == [["name", "x"], [f"a{printable(name)}b", "1"]]


@given(st.text(alphabet="`ab \n~"))
def test_no_code_ends_its_block(code: str) -> None:
    tokens = RENDERER.parse(fenced(code) + "\n\nafter")
    assert next(t.type for t in tokens) == "fence"
    assert [t.content for t in tokens if t.type == "inline"] == ["after"]


def test_a_model_with_its_card_loads_as_a_file_too(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.featx"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted((run.folder / "model").iterdir()):
            archive.write(file, file.name)
    assert featx.load_model(path).classes == featx.load_model(run.folder / "model").classes
