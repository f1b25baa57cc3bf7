"""Augmented views through the command line, on the embedded backbone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Featx
from tests.lab import csv_rows


def test_extract_fit_and_score_with_views(featx: Featx, workspace: Path) -> None:
    flags = ("--views", "2", "--augment", "light", "--no-upright")
    extracted = featx("extract", "photos", *flags)
    assert extracted.code == 0, extracted.err
    assert "56 augmented views: 56 computed" in extracted.err
    assert "--views 2 --augment light --no-upright" in extracted.err
    result = featx("fit", "photos", *flags, "--name", "viewed", "--cv", "3", "-j", "1", "-v")
    assert result.code == 0, result.err
    assert "56 augmented views: 0 computed" in result.err
    assert "minus no views" in result.out
    folder = workspace / "runs" / "viewed"
    document = json.loads((folder / "results.json").read_text())
    assert document["n_views"] == 2
    assert [c["views"] for c in document["candidates"]] == [0, 2]
    [extraction] = document["extraction"].values()
    augmentation = extraction["views"]["augmentation"]
    assert augmentation["any_way_up"] is True
    model = json.loads((folder / "model" / "model.json").read_text())
    assert model["augmentation"] == augmentation
    again = featx("run", "runs/viewed/config.yaml", "--set", "fit.overwrite=true")
    assert again.code == 0, again.err
    repeated = json.loads((folder / "results.json").read_text())
    assert repeated["chosen"]["fold_scores"] == document["chosen"]["fold_scores"]

    scored = featx("score", "runs/viewed", "new", "--average-views", "3", "--json")
    assert scored.code == 0, scored.err
    summary = json.loads(scored.out)
    assert summary["averaged"] == {"n_views": 3, "augmentation": augmentation}
    assert (summary["report"]["views_computed"], summary["quarantined"]) == (9, 1)
    assert [row["path"] for row in csv_rows(workspace / "scores.csv") if row["error"]] == [
        "broken.png"
    ]


def test_an_augmentation_without_views_is_said_to_do_nothing(featx: Featx) -> None:
    result = featx("extract", "photos", "--augment", "strong")
    assert result.code == 0
    assert "have no effect without --views" in result.err
    assert "augmented views" not in result.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--views", "-1"), "views"),
        (("--views", "1000"), "views"),
        (("--augment", "wild"), "wild"),
    ],
)
def test_views_that_make_no_sense_are_usage_errors(
    featx: Featx, flags: tuple[str, ...], said: str
) -> None:
    result = featx("extract", "photos", *flags)
    assert result.code == 2
    assert said in result.err
