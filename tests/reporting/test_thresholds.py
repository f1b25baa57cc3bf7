"""The quality engineer's job by the documented commands: table, cutoff, page and card agree."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_lab import opened

import featx
from featx.errors import ModelError
from featx.numbers import interval
from featx.reporting.summaries.thresholds import cutoff_text
from featx.runs.thresholds import run_with_threshold
from tests.lab import Featx, csv_rows, in_folder, save_pixels

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
OLD = GOLDEN / "runs-7b9166f" / "signs"
SMALL = {"backbone": "featx:mini-v1", "device": "cpu", "precision": "fp32", "engine": "torch"}
ASKED = "Defect:recall=0.8"


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``parts/{Defect,Good}``: 10 and 40 noisy images that are not quite told apart."""
    root = tmp_path_factory.mktemp("quality")
    rng = np.random.default_rng(3)
    for label, n, tint in (("Defect", 10, 150), ("Good", 40, 110)):
        for i in range(n):
            pixels = rng.normal(tint + rng.normal(0, 30), 20, (24, 24, 3))
            save_pixels(root / f"parts/{label}/{i:02}.png", pixels)
    return root


@pytest.fixture(scope="module")
def fitted(parts: Path) -> tuple[Any, Any]:
    """A run with the threshold, and the same fit without it."""
    options: dict[str, Any] = {**SMALL, "cv": 3, "cache": parts / "cache", "runs": parts / "runs"}
    with_it = featx.fit(parts / "parts", name="asked", threshold=ASKED, report=True,
                        heat_maps=False, **options)  # fmt: skip
    return with_it, featx.fit(parts / "parts", name="plain", **options)


@pytest.fixture
def command(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, parts: Path
) -> Featx:
    return in_folder(parts, capfd, monkeypatch)


def recomputed(folder: Path, target: float) -> dict[str, float]:
    """Cutoff and rates from ``predictions.csv`` alone."""
    rows = csv_rows(folder / "predictions.csv")
    split: dict[str, list[tuple[int, bool, float]]] = {}
    for row in rows:
        entry = (int(row["fold"]), row["y_true"] == "Defect", float(row["p_Defect"]))
        split.setdefault(row["split"], []).append(entry)

    def cutoff(entries: list[tuple[int, bool, float]]) -> float:
        own = sorted((p for _, defect, p in entries if defect), reverse=True)
        return own[int(np.ceil(target * len(own) - 1e-9)) - 1]

    judged = split.get("nested", split["oof"])
    hits = alarms = 0
    for fold in {f for f, _, _ in judged}:
        at = cutoff([e for e in judged if e[0] != fold])
        hits += sum(d and p >= at for f, d, p in judged if f == fold)
        alarms += sum(not d and p >= at for f, d, p in judged if f == fold)
    n_own = sum(d for _, d, _ in judged)
    return {
        "cutoff": cutoff(split["oof"]),
        "recall": hits / n_own,
        "precision": hits / (hits + alarms),
        "false_alarms": 1000 * alarms / len(judged),
    }


def test_table_cutoff_page_and_card_agree_with_the_predictions(fitted: tuple[Any, Any]) -> None:
    run, _ = fitted
    mine, in_force = recomputed(run.folder, 0.8), run.results.operating.in_force
    assert in_force.cutoff == mine["cutoff"]
    for name in ("recall", "precision", "false_alarms"):
        assert in_force[name]["value"] == pytest.approx(mine[name])
    model = json.loads((run.folder / "model" / "model.json").read_text("utf-8"))
    assert model["trust"]["decision"]["cutoff"] == mine["cutoff"]
    said = [
        f"from a probability of {cutoff_text(mine['cutoff'])} on",
        interval(in_force.recall, 1, scale=100, unit=" %"),
        f"{interval(in_force.false_alarms, 1)} false alarms per 1,000 images",
    ]
    page = html.unescape((run.folder / "report.html").read_text("utf-8"))
    card = (run.folder / "model" / "README.md").read_text("utf-8").replace("\\", "")
    for words in said:
        assert words in page
        assert words in card
    assert "sensitivity" in card
    assert "NPV" in page


@pytest.mark.parametrize("text", [ASKED, "Defect:precision=0.7", "Good:false-alarms=50/1000"])
def test_another_threshold_is_what_a_fit_with_it_gives(fitted: tuple[Any, Any], text: str) -> None:
    asked, plain = fitted
    changed = run_with_threshold(plain, text)
    if text == ASKED:
        theirs = featx.load_run(asked.folder)
        assert changed.results.operating.document() == theirs.results.operating.document()
        assert changed.results.trust.decision == theirs.results.trust.decision
        for key in ("metrics", "per_class", "confusion_matrix"):
            assert changed.results.estimate[key] == theirs.results.estimate[key]
    back = run_with_threshold(changed, "likeliest")
    assert back.results.operating.in_force is None
    assert back.results.estimate.document() == plain.results.estimate.document()
    points = back.results.operating.classes["Defect"].document()
    assert points == plain.results.operating.classes["Defect"].document()


def test_score_refuses_a_prevalence_alone(command: Featx, fitted: tuple[Any, Any]) -> None:
    done = command("score", "runs/plain", "parts", "-o", "alone.csv", "--prevalence", "0.01")
    assert done.code == 2
    assert "--prevalence 0.01 has no effect on scores without --threshold" in done.err


def test_score_and_report_change_the_threshold(
    command: Featx, fitted: tuple[Any, Any], parts: Path
) -> None:
    asked = fitted[0]
    done = command("score", "runs/plain", "parts", "-o", "s.csv", "--threshold", ASKED, "--json")
    assert done.code == 0, done.err
    in_force = asked.results.operating.in_force
    assert json.loads(done.out)["threshold"] == in_force.document()
    rows = csv_rows(parts / "s.csv")
    for row in rows:
        p = float(row["p_Defect"])
        assert float(row["cutoff"]) == in_force.cutoff
        assert (row["prediction"] == "Defect") == (p >= in_force.cutoff)
        assert float(row["margin"]) == pytest.approx(abs(p - in_force.cutoff))
    assert command("score", "runs/asked", "parts", "-o", "t.csv").code == 0
    assert (parts / "t.csv").read_bytes() == (parts / "s.csv").read_bytes()
    done = command("score", "runs/asked", "parts", "-o", "u.csv", "--threshold", "likeliest")
    assert "Threshold in force" not in done.err
    assert all(float(row["probability"]) >= 0.5 for row in csv_rows(parts / "u.csv"))
    done = command("report", "runs/plain", "-o", "p.html", "--no-heat-maps", "--prevalence", "0.01",
                   "--threshold", "Defect:false-alarms=30/1000")  # fmt: skip
    assert done.code == 0, done.err
    page = html.unescape((parts / "p.html").read_text("utf-8"))
    assert "at a prevalence of 1 %" in page
    assert re.search(r"Threshold in force: Defect .*false-alarms=30/1000", page)


def test_a_model_alone_has_the_rates_that_chose_the_cutoff(
    fitted: tuple[Any, Any], parts: Path
) -> None:
    run, _ = fitted
    scores = featx.score(run.folder / "model", parts / "parts", threshold="Defect:recall=0.9",
                         cache=parts / "cache")  # fmt: skip
    oof, threshold = run.predictions["oof"], scores.threshold
    assert threshold is not None
    called, own = oof.proba[:, 0] >= threshold["cutoff"], oof.y == 0
    assert threshold["recall"] == {"value": called[own].mean(), "low": None, "high": None}
    alarms = 1000 * (called & ~own).mean()
    assert threshold["false_alarms"]["value"] == pytest.approx(alarms)


def test_runs_and_models_of_earlier_versions_take_a_threshold() -> None:
    run = featx.load_run(OLD)
    assert run.results.operating is None
    text = f"{run.classes[0]}:recall=0.9"
    changed = run_with_threshold(run, text)
    in_force = changed.results.operating.in_force
    oof = run.predictions["oof"]
    own = np.sort(oof.proba[oof.y == 0, 0])[::-1]
    assert in_force.cutoff == own[int(np.ceil(0.9 * len(own) - 1e-9)) - 1]
    from featx.artifact import load_model
    from featx.artifact.threshold import with_threshold

    model = load_model(OLD / "model")
    assert model.operating is None
    with pytest.raises(ModelError, match="does not hold the out-of-fold predictions"):
        with_threshold(model, text)
    changed_model = with_threshold(model, f"{run.classes[0]}:cutoff=0.25")
    assert changed_model.trust.decision.cutoff == 0.25


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("score", "runs/plain", "parts", "--threshold", "Defect:recall=2"), "not of the form"),
        (("report", "runs/plain", "--threshold", "Bad:recall=0.9"), "Unknown class 'Bad'"),
        (("report", "runs/plain", "--prevalence", "1.5"), "less than 1"),
    ],
)
def test_what_makes_no_sense_is_refused(
    command: Featx, fitted: tuple[Any, Any], arguments: tuple[str, ...], words: str
) -> None:
    done = command(*arguments)
    assert done.code == 2
    assert words in done.err


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1400, "light")])
def test_the_slider_moves_over_the_table(
    chromium: Any, fitted: tuple[Any, Any], width: int, scheme: str
) -> None:
    run, _ = fitted
    heard: list[str] = []
    page = opened(chromium, run.folder / "report.html", width, scheme, heard)
    part = page.locator(".operating").first
    slider, now = part.locator("input[type=range]"), part.locator(".now")
    in_force = run.results.operating.in_force
    assert interval(in_force.recall, 1, scale=100, unit=" %") in now.inner_text()
    assert part.locator(".flag").inner_text() == f"--threshold {ASKED}"
    assert "in force" in part.locator("tr.chosen").evaluate(
        "row => getComputedStyle(row.cells[0], '::after').content"
    )
    slider.focus()
    page.keyboard.press("End")
    row = part.locator("tr.on")
    assert row.count() == 1
    assert row.locator("td").nth(2).inner_text().partition(" ")[0] in now.inner_text()
    y = float(part.locator(".roc-mark").get_attribute("cy"))
    shown = float(row.locator("td").nth(2).inner_text().partition(" ")[0])
    assert y == pytest.approx(100 - shown, abs=0.06)
    part.locator("tbody tr").first.click()
    assert slider.input_value() == "0"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert heard == []
    page.close()


@pytest.mark.slow
def test_malaria_cells_as_defects(shared_data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """30 infected cells against 900 healthy ones, by the commands of docs/thresholds.md."""
    rng = np.random.default_rng(0)
    for source, label, n in (("Parasitized", "Defect", 30), ("Uninfected", "Good", 900)):
        (tmp_path / "parts" / label).mkdir(parents=True)
        names = sorted((shared_data / "malaria" / source).iterdir())
        for i in rng.permutation(len(names))[:n]:
            (tmp_path / "parts" / label / names[i].name).symlink_to(names[i])
    monkeypatch.chdir(tmp_path)
    run = featx.fit("parts", name="first", threshold=ASKED, report=True, heat_maps=False,
                    cache="cache", **SMALL)  # fmt: skip
    test_table_cutoff_page_and_card_agree_with_the_predictions((run, None))
    in_force = run.results.operating.in_force
    assert in_force.warning is not None
    assert in_force.warning.startswith("30 Defect images: a recall of 80 % is known to within")
