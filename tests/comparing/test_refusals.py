"""Runs that cannot be compared are refused, and the message says why and what to do."""

from __future__ import annotations

import json

import numpy as np
import pytest
from runs_lab import answers, write_run

from featx.comparing.compare import compare_runs
from featx.errors import ComparisonError, RunError, UnknownNameError, UsageError
from tests.lab import RESULTS

Y = np.arange(40) % 2
FOLDS = np.arange(40) // 8
ALL = np.ones(40, bool)


def run(folder, **options):
    return write_run(folder, options.pop("y", Y), answers(Y, ALL), **options)


def refusal(*runs, kind=ComparisonError, code=1):
    with pytest.raises(kind) as caught:
        compare_runs(runs)
    assert caught.value.exit_code == code
    return str(caught.value)


def test_other_images(tmp_path):
    ids = [f"{i:03}.png" for i in range(1, 41)]
    message = refusal(run(tmp_path / "a"), run(tmp_path / "b", ids=ids))
    assert message == (
        "'b' was judged on other images than 'a': 1 only in 'a' (the first: 000.png), 1 only in "
        "'b' (the first: 040.png).\nFit both on the same data set, splits and --seed."
    )


def test_other_labels(tmp_path):
    y = Y.copy()
    y[3] = 0
    message = refusal(run(tmp_path / "a"), run(tmp_path / "b", y=y))
    assert message == (
        "'b' has other labels than 'a' for 1 image, the first 003.png: 'b' in 'a', 'a' in 'b'.\n"
        "Fit both with the same labels."
    )


def test_other_files_under_the_same_names(tmp_path):
    message = refusal(run(tmp_path / "a"), run(tmp_path / "b", content="f" * 16))
    assert message == (
        "'b' was judged on other files than 'a' under the same names: 40 images differ, the first "
        "000.png.\nFit both on the files as they are now."
    )


def test_other_classes(tmp_path):
    message = refusal(run(tmp_path / "a"), run(tmp_path / "b", classes=["a", "c\n"]))
    assert message == (
        "'b' has other classes than 'a': only in 'a': b; only in 'b': c\\n.\n"
        "Compare runs on the same data set."
    )


def test_other_folds(tmp_path):
    options = {"split": "nested", "folds": FOLDS}
    options_b = {"split": "nested", "folds": np.roll(FOLDS, 1)}
    message = refusal(run(tmp_path / "a", **options), run(tmp_path / "b", **options_b))
    assert message == (
        "'b' was judged in other folds than 'a': their difference would be partly the luck of the "
        "folds.\nFit both with the same --seed, --cv and --estimate."
    )


def test_fewer_folds_are_other_folds(tmp_path):
    options = {"split": "nested", "folds": FOLDS}
    options_b = {"split": "nested", "folds": FOLDS // 2}
    for one, other in (("a", "b"), ("b", "a")):
        run_a = run(tmp_path / (one + other) / "a", **options)
        run_b = run(tmp_path / (one + other) / "b", **options_b)
        pair = [run_a, run_b] if one == "a" else [run_b, run_a]
        assert "was judged in other folds than" in refusal(*pair)


@pytest.mark.parametrize("baseline", ["a", "b"])
def test_folds_that_tear_groups_apart(tmp_path, baseline):
    """a keeps groups of four together; b, without groups, deals images out one by one."""
    a = run(
        tmp_path / "a", split="nested", folds=FOLDS, units=np.arange(40) // 4,
        results={"n_groups": 10},
    )  # fmt: skip
    b = run(tmp_path / "b", split="nested", folds=np.arange(40) % 5)
    message = refusal(*([a, b] if baseline == "a" else [b, a]))
    assert message == (
        "'b' leaks: its folds tear apart 10 groups that 'a' keeps together, so it was judged on "
        "images whose like it was trained on.\nFit 'b' again with the groups of 'a'."
    )


def test_a_held_out_share_that_ignores_groups(tmp_path):
    ids = [f"{i:03}.png" for i in range(8, 48)]
    a = run(tmp_path / "a", split="holdout", results={"n_groups": 10})
    b = run(tmp_path / "b", split="holdout", ids=ids)
    assert refusal(a, b) == (
        "'b' was judged on other images than 'a': 8 only in 'a' (the first: 000.png), 8 only in "
        "'b' (the first: 040.png). 'b' leaks: it held images out without regard to the groups "
        "that 'a' keeps together.\nFit both on the same data set, splits and --seed."
    )


def test_runs_judged_in_different_ways(tmp_path):
    a = run(tmp_path / "a", split="test")
    b = run(tmp_path / "b", split="nested", folds=FOLDS)
    assert refusal(a, b) == (
        "The runs were not judged in the same way: 'a' on the test split; 'b' on cross-validation "
        "whose test folds played no part in model selection.\nFit them with the same --estimate."
    )


def test_the_reason_given_is_that_of_the_better_way(tmp_path):
    """Test images and search folds both differ: the test split is what the user asks about."""
    for name, shift in (("a", 0), ("b", 5)):
        y, ids = Y, [f"{i:03}.png" for i in range(shift, shift + 40)]
        run(tmp_path / name, split=["test", "oof"], y=y, ids=ids, folds=FOLDS)
    assert "other images" in refusal(tmp_path / "a", tmp_path / "b")


def test_other_test_images_but_the_same_folds_are_compared_on_the_folds(tmp_path):
    a = run(tmp_path / "a", split=["test", "oof"], folds=FOLDS)
    b = run(tmp_path / "b", split="oof", folds=FOLDS)
    extra = run(tmp_path / "x", split="test", ids=[f"x{i}" for i in range(40)])
    lines = (extra / "predictions.csv").read_text().splitlines(keepends=True)[1:]
    with (b / "predictions.csv").open("a") as file:
        file.writelines(lines)
    document = compare_runs([a, b]).document
    assert document["judged"]["level"] == "oof"
    assert document["notes"][0].startswith(
        "Not compared on the test split: 'b' was judged on other"
    )


def test_trained_on_other_images_is_said(tmp_path):
    a = run(tmp_path / "a", split="test")
    b = run(tmp_path / "b", split="test")
    for folder, n in ((a, 40), (b, 30)):
        extra = [f"t{i:03}.png" for i in range(40)]
        other = run(folder.with_name(f"{folder.name}-oof"), split="oof", folds=FOLDS, ids=extra)
        lines = (other / "predictions.csv").read_text().splitlines(keepends=True)[1 : 1 + n]
        with (folder / "predictions.csv").open("a") as file:
            file.writelines(lines)
    notes = compare_runs([a, b]).document["notes"]
    assert notes == ["The runs were trained on different images: 'a' on 40, 'b' on 30."]


@pytest.mark.parametrize(
    ("digests", "notes"),
    [
        (("x", "x"), []),
        (("x", "y"), ["Whether the runs were trained on the same images is not known."]),
        (("x", None), ["Whether the runs were trained on the same images is not known."]),
    ],
)
@pytest.mark.parametrize("other", [["test", "oof"], "test"])
def test_without_training_images_the_data_sets_are_compared(tmp_path, digests, notes, other):
    runs = [
        run(
            tmp_path / name,
            split=split,
            folds=FOLDS,
            results={"dataset": {**RESULTS["dataset"], "sha256": digest}},
        )
        for name, split, digest in zip("ab", (other, "test"), digests, strict=True)
    ]
    assert compare_runs(runs).document["notes"] == notes


def test_an_older_run_with_groups(tmp_path):
    grouped = {"n_groups": 10}
    runs = [run(tmp_path / name, older=True, results=grouped) for name in ("a", "b")]
    assert refusal(*runs) == (
        "'a' has groups, but was written by a version of featx that did not keep which image is in "
        "which: nothing can be said of the chance in its numbers.\n"
        "Fit it again with --overwrite."
    )


def test_one_run_is_a_usage_error(tmp_path):
    message = refusal(run(tmp_path / "a"), kind=UsageError, code=2)
    assert message == (
        "A comparison needs two runs; got 1.\nName two or more: featx compare RUN RUN"
    )


def test_the_same_run_twice_is_a_usage_error(tmp_path):
    a = run(tmp_path / "a")
    message = refusal(a, tmp_path / "." / "b" / ".." / "a", kind=UsageError, code=2)
    assert "is named twice." in message


def test_a_folder_that_is_no_run_is_a_usage_error(tmp_path):
    message = refusal(run(tmp_path / "a"), tmp_path / "photos", kind=UsageError, code=2)
    assert message == (
        f"'{tmp_path}/photos' is not a run: it has no results.json and predictions.csv.\n"
        "Name folders that `featx fit` wrote, such as runs/first."
    )


def test_an_unknown_metric_is_a_usage_error(tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'accuracy'") as caught:
        compare_runs([run(tmp_path / "a"), run(tmp_path / "b")], metric="acuracy")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda t: t.replace("y_true", "truth"), "it has no single column 'y_true'"),
        (lambda t: t.replace("000.png,test", "001.png,test"), "an image is predicted twice"),
        (lambda t: t.replace(",0.9,", ",nan,", 1), "probabilities of an image do not add up to 1"),
        (lambda t: t.replace(",0.9,", ",0.7,", 1), "probabilities of an image do not add up to 1"),
        (lambda t: t.replace(",0.9,", ",x,", 1), "a probability is not a number"),
        (lambda t: t.replace("test,,a,", "test,,z,", 1), "y_true holds 'z', which is not a class"),
        (lambda t: t.replace("test,,", "test,1.5,", 1), "fold holds values other than whole"),
        (lambda t: t + "x.png,test\n", "row 41 has 2 of 9 cells"),
        (lambda t: t + '"', "is not CSV"),
    ],
)
def test_damaged_predictions(tmp_path, change, problem):
    a, b = run(tmp_path / "a"), run(tmp_path / "b")
    path = b / "predictions.csv"
    path.write_text(change(path.read_text()))
    message = refusal(a, b, kind=RunError)
    assert message.startswith(f"'{path}' is not what featx writes: ")
    assert problem in message
    assert message.endswith("Fit the run again with --overwrite.")


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, json.dumps({"classes": 3}), "{}"])
def test_damaged_results(tmp_path, text):
    a, b = run(tmp_path / "a"), run(tmp_path / "b")
    (b / "results.json").write_text(text)
    assert "results.json' is not what featx writes" in refusal(a, b, kind=RunError)


@pytest.mark.parametrize(
    ("odd", "problem"),
    [
        ({"cost": {"extract_s": "x"}}, "cost.extract_s is 'x', but input should be a valid number"),
        ({"cost": {"fit_s": -1}}, "cost.fit_s is -1, but input should be greater than or equal"),
        ({"cost": {"fit_s": float("nan")}}, "NaN is not a JSON number"),
        ({"chosen": 5}, "chosen is 5, but input should be a valid"),
        ({"extraction": []}, "extraction is [], but input should be a valid"),
        ({"search": "x", "scoring": ["x"]}, "scoring is ['x'], but input should be a valid"),
        ({"estimate": {}}, "it has no estimate.method (and 6 more)"),
    ],
)
def test_odd_numbers_and_kinds_in_the_results_are_named(tmp_path, odd, problem):
    runs = [run(tmp_path / name, results=odd) for name in ("a", "b")]
    message = refusal(*runs, kind=RunError)
    assert message.startswith(f"'{tmp_path}/a/results.json' is not what featx writes: {problem}")
