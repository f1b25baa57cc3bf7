"""``featx compare`` on runs that ``featx fit`` wrote: test split, nested folds, groups."""

from __future__ import annotations

import csv
import json
import shutil
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import COLOURS, Featx, paint

EMBEDDED = ["--backbone", "featx:mini-v1"]
FEW = ["--cv", "3", "-j", "1", "-q"]
GRIDS = {"ridge": "{ridge: {alpha: [100.0, 1.0]}}", "knn": "{knn: {n_neighbors: [5, 1]}}"}


@pytest.fixture
def runs(featx: Featx, workspace: Path) -> Path:
    """Pairs of runs, fitted once for the session: ``test-*``, ``nested-*``, ``grouped-*``.

    Each pair is the embedded backbone under two heads; ``floor`` always says the same class.
    """
    folder = workspace / "runs"
    if (folder / "floor").exists():
        return folder
    rng = np.random.default_rng(1)
    lines = ["path,label,group"]
    for name, colour in COLOURS.items():
        dull = tuple((c + 240) // 3 for c in colour)
        for i in range(10):
            split = "test" if i % 2 else "train"
            paint(workspace / "split" / split / name / f"{i}.png", dull, rng)
            lines.append(f"split/{split}/{name}/{i}.png,{name},{name}{i // 2}")
    (workspace / "groups.csv").write_text("\n".join(lines) + "\n")
    for dataset, pair in (("split", "test"), ("photos", "nested"), ("groups.csv", "grouped")):
        for head, grid in GRIDS.items():
            what = ["--head", head, "--param-grid", grid, "--name", f"{pair}-{head}"]
            result = featx("fit", dataset, *EMBEDDED, *what, *FEW)
            assert result.code == 0, result.err
    floor = featx("fit", "photos", *EMBEDDED, "--name", "floor", "--head", "dummy", *FEW)
    assert floor.code == 0, floor.err
    return folder


def document(featx: Featx, *arguments: str) -> dict:
    result = featx("compare", *arguments, "--json")
    assert result.code == 0, result.err
    return json.loads(result.out)


def own(run: Path) -> dict:
    """What the run itself says of its metrics."""
    return json.loads((run / "results.json").read_text())["estimate"]["metrics"]


@pytest.mark.parametrize(("pair", "level"), [("test", "test"), ("nested", "folds")])
def test_both_ways_to_judge(featx: Featx, runs: Path, pair: str, level: str) -> None:
    found = document(featx, f"runs/{pair}-ridge", f"runs/{pair}-knn")
    assert found["judged"]["level"] == level
    assert found["judged"]["n_images"] == {"test": 15, "nested": 28}[pair]
    assert found["judged"]["unit"] == "images"
    assert [run["label"] for run in found["runs"]] == [f"{pair}-ridge", f"{pair}-knn"]
    assert [run["what"] for run in found["runs"]] == [
        "ridge on featx:mini-v1",
        "knn on featx:mini-v1",
    ]
    for run in found["runs"]:
        assert run["metrics"] == own(runs / run["label"])  # the numbers that fit printed
        assert run["cost"]["total_s"] > 0
        assert run["cost"]["model_bytes"] > 1000
    [difference] = found["differences"]
    assert difference["run"] == f"{pair}-knn"
    methods = {t["method"].split(" over")[0] for t in difference["metrics"]["accuracy"]["tests"]}
    assert ("exact McNemar test" in methods) == (level == "test")
    assert (
        sum(difference["images"][k] for k in ("both", "wins", "losses", "neither"))
        == (found["judged"]["n_images"])
    )
    assert found["notes"] == [] or found["notes"][0].startswith("Embeddings ")


def test_grouped_runs_are_compared_over_groups(featx: Featx, runs: Path) -> None:
    found = document(featx, "runs/grouped-ridge", "runs/grouped-knn")
    assert (found["judged"]["unit"], found["judged"]["n_units"]) == ("groups", 15)
    assert found["judged"]["n_images"] == 30
    tests = found["differences"][0]["metrics"]["accuracy"]["tests"]
    assert any(test["method"].startswith("cluster bootstrap over 15 groups") for test in tests)
    assert not any("McNemar" in test["method"] for test in tests)
    assert found["runs"][0]["metrics"] == own(runs / "grouped-ridge")


def test_a_run_that_ignores_the_groups_is_refused(featx: Featx, runs: Path) -> None:
    flat = ["--name", "flat", "--head", "ridge", "--group-column", "path", *FEW]
    assert featx("fit", "groups.csv", *EMBEDDED, *flat, "--overwrite").code == 0
    result = featx("compare", "runs/grouped-ridge", "runs/flat")
    assert result.code == 1
    assert result.out == ""
    assert result.err.startswith("Error: 'flat' leaks: its folds tear apart")
    assert result.err.endswith("\nFit 'flat' again with the groups of 'grouped-ridge'.\n")


def test_the_console_ends_with_the_verdict(featx: Featx, runs: Path) -> None:
    asked = ("compare", "runs/nested-ridge", "runs/nested-knn", "runs/floor")
    short, result = featx(*asked), featx(*asked, "-v")
    assert result.code == 0, result.err
    titles = [
        *("Metrics", "Cost", "nested-knn minus nested-ridge"),
        *("floor minus nested-ridge", "Classes: floor against nested-ridge"),
    ]
    places = [result.out.index(f"{title}\n") for title in titles]
    assert places == sorted(places)
    assert result.out.endswith(short.out)
    *sentences, empty, page = short.out.splitlines()
    assert 3 <= len(sentences) <= 6
    assert all(line.startswith("→ ") for line in sentences)
    assert sentences[0].startswith("→ The number to read: balanced accuracy ")
    assert "nested-knn" in sentences[1]
    assert sentences[2].startswith("→ floor loses")
    assert (empty, page) == ("", "Page: none; --html FILE writes one")


def test_the_baseline_is_named_or_the_first(featx: Featx, runs: Path) -> None:
    pair = ["runs/nested-ridge", "runs/nested-knn"]
    turned = document(featx, *pair, "--baseline", "runs/nested-knn")
    assert [run["label"] for run in turned["runs"]] == ["nested-knn", "nested-ridge"]
    apart = document(featx, pair[0], "--baseline", "runs/nested-knn")
    assert apart == turned


def test_reports_and_disagreements_are_written(featx: Featx, runs: Path, workspace: Path) -> None:
    pair = ["compare", "runs/nested-ridge", "runs/floor"]
    files = [f"out/c.{end}" for end in ("html", "md", "json")] + ["out/d.csv"]
    flags = ["--html", "--markdown", "--json", "--disagreements"]
    asked = [word for both in zip(flags, files, strict=True) for word in both]
    result = featx(*pair, *asked)
    assert result.code == 0, result.err
    html, markdown, text, table = ((workspace / f).read_text() for f in files)
    found = json.loads(text)
    verdict = found["differences"][0]["verdict"]
    assert verdict in unescape(html)
    assert verdict in markdown.replace("\\", "")
    assert verdict in result.out
    rows = list(csv.DictReader(table.splitlines()))
    assert len(rows) == found["disagreements"]["n"] > 0
    for row in rows:
        sides = {"nested-ridge": row["y_nested-ridge"], "floor": row["y_floor"]}
        assert len(set(sides.values())) == 2
        assert row["right"] == " | ".join(s for s, c in sides.items() if c == row["y_true"])
    again = featx(*pair, *asked)
    assert again.code == 2
    assert again.err == (
        "Error: The output 'out/c.html' exists already.\nChoose another name, or --overwrite.\n"
    )
    assert featx(*pair, *asked, "--overwrite", "-q").err == ""


def test_one_report_can_go_to_stdout(featx: Featx, runs: Path) -> None:
    pair = ["compare", "runs/nested-ridge", "runs/nested-knn"]
    assert featx(*pair, "--markdown", "-").out.startswith("# Comparison\n")
    result = featx(*pair, "--markdown", "-", "--json", "-")
    assert result.code == 2
    assert result.err == "Error: Only one report can go to stdout (-).\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "Missing argument 'RUN [RUN ...]'"),
        (["runs/nested-ridge"], 2, "A comparison needs two runs; got 1."),
        (["runs/nested-ridge", "photos"], 2, "'photos' is not a run"),
        (["runs/nested-ridge", "runs/nested-ridge/"], 2, "is named twice"),
        (["runs/nested-ridge", "runs/nested-knn", "--metric", "f2"], 2, "Unknown metric 'f2'"),
        (["runs/nested-ridge", "runs/nested-knn", "--html", "photos"], 2, "is a folder"),
        (["runs/nested-ridge", "runs/nested-knn", "--disagreements", "d.txt"], 2, ".csv"),
        (["runs/nested-ridge", "runs/test-ridge"], 1, "'test-ridge' was judged on other images"),
    ],
)
def test_exit_codes(featx: Featx, runs: Path, arguments: list[str], code: int, words: str) -> None:
    result = featx("compare", *arguments)
    assert result.code == code
    assert words in result.err
    assert result.out == ""


def test_the_library_takes_runs_and_folders(
    featx: Featx, runs: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import featx as library

    shutil.rmtree(workspace / "runs" / "lib", ignore_errors=True)
    monkeypatch.chdir(workspace)
    run = library.fit("photos", head="knn", cv=3, name="lib", jobs=1)
    comparison = library.compare(runs / "nested-ridge", run, html=workspace / "lib.html",
                                 overwrite=True)  # fmt: skip
    assert comparison.document["runs"][1]["label"] == "lib"
    assert comparison.verdicts[0] in unescape((workspace / "lib.html").read_text())
    with pytest.raises(library.errors.UnknownNameError, match="Unknown option 'htlm'"):
        library.compare(run, htlm="x")


def test_the_whole_question_in_one_command(featx: Featx, runs: Path, workspace: Path) -> None:
    """Frozen baseline, fine-tune on the same test images, verdict."""
    few = [
        f"--set={s}" for s in ("fit.cv=3", "fit.head=[ridge]", "fit.jobs=1", "finetune.epochs=1")
    ]
    result = featx("compare", "split", "--finetune", "--name", "both", *few, "--json", "-q")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert [run["label"] for run in found["runs"]] == ["both-frozen", "both-finetuned"]
    assert found["judged"]["level"] == "test"
    assert found["runs"][1]["cost"]["finetune_s"] > 0
    assert found["runs"][0]["what"] == "ridge on featx:mini-v1"
    again = featx("compare", "split", "--finetune", "--name", "both", *few)
    assert again.code == 2
    assert again.err.startswith("Error: The run 'runs/both-frozen' exists.")
    shutil.rmtree(workspace / "runs" / "both-frozen")
    again = featx("compare", "split", "--finetune", "--name", "both", *few)
    assert again.code == 2
    assert again.err.startswith("Error: The run 'runs/both-finetuned' exists.")
    assert not (workspace / "runs" / "both-frozen").exists()  # nothing was spent


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["photos", "split", "--finetune"], "--finetune takes one data set"),
        (["photos", "--finetune", "--baseline", "runs/floor"], "--finetune takes one data set"),
        (["photos", "--finetune", "--set", "fit.cvv=3"], "unknown key 'fit.cvv'; did you mean"),
        (["photos", "--finetune", "--set", "cv"], "is not of the form section.key=value"),
        (["runs/floor", "runs/nested-knn", "--backbone", "x"], "--backbone applies to new runs"),
        (["runs/floor", "runs/nested-knn", "--weights", "x"], "--weights applies to new runs"),
        (["runs/floor", "runs/nested-knn", "--set", "fit.cv=3"], "--set applies to new runs"),
    ],
)
def test_training_options_belong_to_a_data_set(
    featx: Featx, runs: Path, arguments: list[str], words: str
) -> None:
    result = featx("compare", *arguments)
    assert result.code == 2
    assert words in result.err


def test_the_weights_are_those_of_both_runs(featx: Featx, runs: Path) -> None:
    result = featx("compare", "photos", "--finetune", "--weights", "none.safetensors")
    assert result.code == 1
    assert "Error: Weights file 'none.safetensors' does not exist." in result.err
