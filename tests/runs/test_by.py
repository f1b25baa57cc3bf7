"""Scores by the values of a column: known answers, adjusted intervals, and the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featx.formats import write_rows
from featx.runs.by import by_columns
from featx.runs.predictions import Predictions, PredictionTable, text_column
from featx.stats.bootstrap import interval
from featx.stats.operating import Evaluated
from featx.stats.subsets import MOST, describe_values


def shown(right: np.ndarray, units: np.ndarray | None = None) -> tuple[Evaluated, np.ndarray]:
    """Predictions of two classes, right where it is asked for."""
    n = len(right)
    y = np.arange(n) % 2
    y_pred = np.where(right, y, 1 - y)
    proba = np.eye(2)[y_pred] * 0.8 + 0.1
    each = np.arange(n)
    units = each if units is None else units
    return Evaluated(y, proba, y_pred, units, np.full(n, -1), np.zeros(n, int)), each


def test_each_value_has_its_own_score_and_the_worst_is_named() -> None:
    """The scores are those of the rows, and images without a value have no row."""
    right = np.arange(300) % 10 < 9
    right[100:200] = np.arange(100) % 2 == 0
    values = ["a"] * 100 + ["b"] * 100 + ["c"] * 90 + [None] * 10
    found = describe_values(*shown(right), values, "accuracy", seed=0)
    scores = {row["value"]: row["score"]["value"] for row in found["rows"]}
    assert scores == pytest.approx({"a": 0.9, "b": 0.5, "c": 0.9})
    assert [row["images"] for row in found["rows"]] == [100, 100, 90]
    assert (found["worst"], found["worst_below"], found["without"]) == ("b", True, 10)


def test_intervals_widen_with_the_number_of_values() -> None:
    """The same images are known less surely where more values are looked at."""
    right = np.random.default_rng(0).random(400) < 0.8
    few = describe_values(*shown(right), ["a"] * 100 + ["b"] * 300, "accuracy", seed=0)
    values = ["a"] * 100 + [f"v{i // 20}" for i in range(300)]
    many = describe_values(*shown(right), values, "accuracy", seed=0)
    one, other = few["rows"][0]["accuracy"], many["rows"][0]["accuracy"]
    assert one["value"] == other["value"]
    assert other["low"] < one["low"]
    assert other["high"] > one["high"]


def test_small_values_are_marked_and_never_the_worst() -> None:
    """Nineteen wrong images are too few to call a value the worst."""
    right = np.ones(219, bool)
    right[:19] = False
    right[19:40] = False
    found = describe_values(
        *shown(right), ["tiny"] * 19 + ["a"] * 100 + ["b"] * 100, "accuracy", seed=0
    )
    assert [row["few"] for row in found["rows"]] == [False, False, True]
    assert found["worst"] == "a"


def test_many_values_share_a_row() -> None:
    """The largest have rows of their own; no image is lost."""
    values = ["big"] * 50 + [f"v{i}" for i in range(100)]
    found = describe_values(*shown(np.ones(150, bool)), values, "accuracy", seed=0)
    assert len(found["rows"]) == MOST
    assert sum(row["images"] for row in found["rows"]) == 150
    assert found["rows"][-1]["pooled"] == 101 - (MOST - 1)


def test_a_value_of_several_groups_draws_groups() -> None:
    """Images of one group are no independent evidence."""
    right = np.repeat([True, False, True, True], 25)
    groups = np.repeat(np.arange(4), 25)
    apart = describe_values(*shown(right), ["a"] * 100, "accuracy", seed=0)["rows"][0]
    together = describe_values(*shown(right, groups), ["a"] * 100, "accuracy", seed=0)["rows"][0]
    assert (together["units"], apart["units"]) == (4, 100)
    assert together["accuracy"]["low"] < apart["accuracy"]["low"]


def test_a_small_tail_is_student_s() -> None:
    """Where no resample lies far enough out, the end goes by their spread."""
    samples = np.random.default_rng(0).normal(0.5, 0.05, 2000)
    found = interval(0.5, samples, 1000, tail=1e-5)
    assert found["low"] == pytest.approx(0.5 - 4.28 * 0.05, abs=0.01)


def predictions(by: dict[str, list[str | None]]) -> Predictions:
    zero = np.zeros(3, np.int64)
    return Predictions(
        ids=text_column(["a", "b", "c"]),
        fold=zero - 1,
        y=np.array([0, 1, 0]),
        y_pred=np.array([0, 1, 1]),
        proba=np.array([[0.75, 0.25], [0.25, 0.75], [0.25, 0.75]]),
        unit=np.arange(3),
        content=text_column(["x", "y", "z"]),
        repeat=zero,
        columns={name: text_column(values) for name, values in by.items()},
    )


@pytest.mark.parametrize("name", ["site", "by_site", "p_a", "=1+1", "ä b,c"])
def test_the_file_keeps_the_columns(tmp_path: Path, name: str) -> None:
    """Values return as they were, empty ones as None, whatever the column is called."""
    values = ["=x", None, "o'n"]
    table = PredictionTable(["a", "b"], {"test": predictions({name: values})})
    write_rows(tmp_path / "p.csv", table.columns, table.rows())
    again = PredictionTable.parse((tmp_path / "p.csv").read_bytes(), ["a", "b"])
    assert again["test"].columns[name].tolist() == values
    assert again.kept == [name]
    assert again["test"].take(np.array([2, 0])).columns[name].tolist() == ["o'n", "=x"]


def test_repeated_predictions_count_an_image_once() -> None:
    """Five partitions do not make five times as many images."""
    one = predictions({"site": ["s", "s", "t"]})
    both = Predictions.repeated([one, one])
    columns = {"site": both.columns["site"].tolist()}
    [found] = by_columns(both, columns, method="repeated", metric="accuracy", seed=0)
    assert [(row.value, row.images, row.units) for row in found.rows] == [("s", 2, 2), ("t", 1, 1)]
