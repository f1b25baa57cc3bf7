"""What a comparison says of runs whose difference is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from runs_lab import answers, outcomes, write_run

from featx.comparing.compare import compare_runs
from featx.comparing.cost import pareto_front
from featx.stats.comparison import corrected_paired_test
from featx.stats.paired import mcnemar
from tests.lab import in_process

Y = np.arange(100) % 2
TRIED = "balanced preset, one recipe of 12 epochs at learning rate 0.0005"
EPOCH = {"validation_loss": 0.5, "validation_score": 0.5}
TRAINING = {
    "name": "all",
    "n_validation": 10,
    "best_epoch": 12,
    "epochs": 12,
    "stopped": "epochs",
    "frozen": EPOCH,
    "finetuned": EPOCH,
    "elapsed_s": 1.0,
}
SEARCH = {"chosen": {}, "ended": "trials", "trials": []}
TUNED = {
    "finetuning": {"answer": "finetuned", "tried": {"recipe": TRIED}, "trainings": [TRAINING]},
    "chosen": {"backbone": "timm:resnet18", "head": "linear", "kind": "finetuned"},
    "cost": {"extract_s": 2.0, "finetune_s": 124.0},
    "search": None,
}


def pair(tmp_path, both, wins, losses, neither, **options):
    """Two runs on as many images as the outcomes have."""
    before, right = outcomes(both, wins, losses, neither)
    y = np.arange(len(right)) % 2
    return [
        write_run(tmp_path / name, y, answers(y, which), **options)
        for name, which in (("base", before), ("new", right))
    ]


def test_a_planted_difference_is_found_and_counted(tmp_path):
    comparison = compare_runs(pair(tmp_path, 60, 25, 5, 10))
    [found] = comparison.document["differences"]
    told = {"both": 60, "wins": 25, "losses": 5, "neither": 10, "told_apart": 30}
    assert found["images"] == told
    accuracy = found["metrics"]["accuracy"]
    assert accuracy["value"] == pytest.approx(0.2)
    assert accuracy["p_adjusted"] == accuracy["tests"][0]["p"] == pytest.approx(mcnemar(25, 5))
    methods = [test["method"] for test in accuracy["tests"]]
    assert methods == ["exact McNemar test", "paired bootstrap over 100 images"]
    f1 = found["metrics"]["f1_macro"]["tests"]
    assert [test["method"] for test in f1] == ["paired bootstrap over 100 images"]
    assert comparison.verdicts == [
        "new adds +20.0 points of accuracy [10.0, 30.3] against base, p < 0.001, "
        "for about the same compute."
    ]
    turned = compare_runs([tmp_path / "new", tmp_path / "base"]).verdicts
    assert turned[0].startswith("base loses 20.0 points of accuracy [10.0, 30.3] against new")


def test_the_metrics_are_those_of_each_run(tmp_path):
    document = compare_runs(pair(tmp_path, 60, 25, 5, 10)).document
    values = [run["metrics"]["accuracy"]["value"] for run in document["runs"]]
    assert values == pytest.approx([0.65, 0.85])
    assert [run["cost"]["model_bytes"] for run in document["runs"]] == [1000, 1000]
    json.dumps(document, allow_nan=False)


def test_equal_runs_are_not_told_apart(tmp_path):
    [found] = compare_runs(pair(tmp_path, 80, 0, 0, 20)).document["differences"]
    assert found["verdict"].startswith(
        "No reliable difference between new and base in accuracy: 0.0 points [−3.7, 3.7], p = 1"
    )
    for metric in found["metrics"].values():
        assert all(test["p"] == 1 for test in metric["tests"])


def test_the_same_predictions_are_not_called_a_difference_of_no_width(tmp_path):
    runs = pair(tmp_path, 80, 0, 0, 20)
    [sentence] = compare_runs(runs, metric="balanced_accuracy").verdicts
    assert sentence == (
        "new and base predict the same class for every image, for about the same compute."
    )


def test_a_difference_that_luck_explains_is_not_called_one(tmp_path):
    [sentence] = compare_runs(pair(tmp_path, 60, 9, 7, 24)).verdicts
    assert sentence.startswith("No reliable difference between new and base in accuracy: +2.0")


def test_order_of_rows_and_numbers_of_folds_do_not_matter(tmp_path):
    """The same run with its rows reversed and its folds numbered the other way round."""
    folds = np.arange(100) // 20
    before, right = outcomes(60, 25, 5, 10)
    ids = [f"{i}.png" for i in range(100)]
    base = write_run(tmp_path / "base", Y, answers(Y, before), split="nested", folds=folds, ids=ids)
    straight, turned = tmp_path / "x" / "new", tmp_path / "y" / "new"
    write_run(straight, Y, answers(Y, right), split="nested", folds=folds, ids=ids)
    write_run(
        turned,
        Y[::-1],
        answers(Y, right)[::-1],
        split="nested",
        folds=4 - folds[::-1],
        ids=ids[::-1],
    )
    one, other = (compare_runs([base, new]).document["differences"] for new in (straight, turned))
    assert one == other


def test_folds_are_tested_by_the_corrected_t_test(tmp_path):
    folds = np.arange(100) // 20
    runs = pair(tmp_path, 60, 25, 5, 10, split="nested", folds=folds)
    document = compare_runs(runs).document
    assert document["judged"]["level"] == "folds"
    assert document["judged"]["n_folds"] == 5
    first, *more = document["differences"][0]["metrics"]["accuracy"]["tests"]
    before, right = outcomes(60, 25, 5, 10)
    by_fold = [right[folds == f].mean() - before[folds == f].mean() for f in range(5)]
    expected = corrected_paired_test(by_fold, test_ratio=0.25)
    assert first["method"] == "corrected resampled t-test over 5 folds"
    assert (first["mean"], first["p"]) == pytest.approx((expected.mean, expected.p))
    assert [test["method"] for test in more] == [
        "paired bootstrap over 100 images, 1.22 times as wide for 5 training sets",
        "exact McNemar test, as if one classifier had judged all images",
    ]


def test_folds_that_differ_by_the_same_amount_are_no_certainty(tmp_path):
    """Ten more right in each of two folds would have p = 0 by a t-test."""
    folds = np.arange(40) // 20
    before = np.tile(np.arange(20) < 10, 2)
    right = np.tile(np.arange(20) < 12, 2)
    y = np.arange(40) % 2
    options = {"split": "nested", "folds": folds}
    a = write_run(tmp_path / "a", y, answers(y, before), **options)
    b = write_run(tmp_path / "b", y, answers(y, right), **options)
    tests = compare_runs([a, b]).document["differences"][0]["metrics"]["accuracy"]["tests"]
    assert tests[0]["method"].startswith("paired bootstrap")
    assert tests[0]["p"] > 0.01


def test_repeated_partitions_are_paired_one_by_one(tmp_path):
    folds = np.arange(100) // 20
    splits = ["repeated-1", "repeated-2"]
    document = compare_runs(pair(tmp_path, 60, 25, 5, 10, split=splits, folds=folds)).document
    assert document["judged"]["n_repeats"] == 2
    assert document["judged"]["n_images"] == document["judged"]["n_units"] == 100
    tests = document["differences"][0]["metrics"]["accuracy"]["tests"]
    assert tests[0]["method"] == "corrected resampled t-test over 10 folds of 2 partitions"
    assert not any("McNemar" in test["method"] for test in tests)


def test_images_that_stay_together_are_drawn_together(tmp_path):
    """Four images a group that all go the same way: as few groups, so much wider."""
    before, right = (np.repeat(x, 4) for x in outcomes(16, 6, 1, 2))
    widths, methods = [], []
    for name, units, groups in (("one", None, None), ("four", np.arange(100) // 4, 25)):
        runs = [
            write_run(
                tmp_path / name / each, Y, answers(Y, which), units=units,
                results={"n_groups": groups},
            )
            for each, which in (("a", before), ("b", right))
        ]  # fmt: skip
        test = compare_runs(runs).document["differences"][0]["metrics"]["accuracy"]["tests"][0]
        widths.append(test["high"] - test["low"])
        methods.append(test["method"])
    assert methods == ["exact McNemar test", "cluster bootstrap over 25 groups"]
    assert widths[1] / widths[0] == pytest.approx(2, rel=0.2)


def test_groups_that_one_run_knows_count_for_all(tmp_path):
    units = np.arange(100) // 4
    before, right = outcomes(60, 25, 5, 10)
    grouped = {"n_groups": 25}
    a = write_run(tmp_path / "a", Y, answers(Y, before), units=units, results=grouped)
    b = write_run(tmp_path / "b", Y, answers(Y, right))
    document = compare_runs([a, b]).document
    assert document["judged"]["n_units"] == 25
    assert document["judged"]["unit"] == "groups"
    assert document["notes"] == [
        "'b' was fitted without the groups of 'a', but judged like it; groups are drawn together."
    ]


def test_several_runs_are_adjusted_for_their_number(tmp_path):
    before, right = outcomes(60, 25, 5, 10)
    base = write_run(tmp_path / "base", Y, answers(Y, before))
    others = [write_run(tmp_path / name, Y, answers(Y, right)) for name in ("x", "y", "z")]
    document = compare_runs([base, *others]).document
    for each in document["differences"]:
        accuracy = each["metrics"]["accuracy"]
        assert accuracy["p_adjusted"] == pytest.approx(3 * mcnemar(25, 5))
        assert "(Holm, 3 comparisons)" in each["verdict"]


def test_classes_won_and_lost(tmp_path):
    y = np.repeat([0, 1], 10)
    before = answers(y, np.r_[np.ones(6), np.zeros(4), np.ones(10)] == 1)
    right = answers(y, np.r_[np.zeros(1), np.ones(9), np.ones(7), np.zeros(3)] == 1)
    runs = [write_run(tmp_path / "a", y, before), write_run(tmp_path / "b", y, right)]
    comparison = compare_runs(runs)
    classes = comparison.document["differences"][0]["per_class"]
    a = {"support": 10, "wins": 4, "losses": 1, "recall": pytest.approx(0.3)}
    b = {"support": 10, "wins": 0, "losses": 3, "recall": pytest.approx(-0.3)}
    assert classes == {"a": a, "b": b}
    rows = list(comparison.disagreements())
    assert comparison.columns == ["id", "split", "fold", "y_true", "y_a", "y_b", "right"]
    assert len(rows) == 8
    assert rows[0] == ["000.png", "test", None, "a", "a", "b", "a"]
    assert rows[1] == ["006.png", "test", None, "a", "b", "a", "b"]
    assert comparison.document["disagreements"]["n"] == 8


def test_an_image_that_none_gets_right_belongs_to_none(tmp_path):
    y = np.arange(30) % 3
    kinds = {"classes": ["a", "b", "c"]}
    runs = [
        write_run(tmp_path / "x", y, np.where(y == 0, 1, y), **kinds),
        write_run(tmp_path / "y", y, np.where(y == 0, 2, y), **kinds),
    ]
    comparison = compare_runs(runs)
    rows = list(comparison.disagreements())
    assert {row[-1] for row in rows} == {""}
    assert comparison.document["differences"][0]["images"]["told_apart"] == 10


def test_the_verdict_names_the_price_of_fine_tuning(tmp_path):
    before, right = outcomes(60, 25, 5, 10)
    base = write_run(tmp_path / "frozen", Y, answers(Y, before))
    tuned = write_run(tmp_path / "tuned", Y, answers(Y, right), results=TUNED)
    comparison = compare_runs([base, tuned])
    assert comparison.verdicts == [
        "Fine-tuning timm:resnet18 (tuned) adds +20.0 points of accuracy [10.0, 30.3] against "
        f"frozen, p < 0.001, for 63 times the compute. Tried: {TRIED}."
    ]
    page = Path(__file__).resolve().parents[2] / "docs" / "compare.md"
    assert f"> {comparison.verdicts[0]}\n" in page.read_text("utf-8")
    assert [run["pareto"] for run in comparison.document["runs"]] == [True, True]


@pytest.mark.parametrize(
    ("wins", "losses", "searched", "turned", "warned"),
    [
        (25, 5, False, False, False),
        (6, 5, False, False, True),
        (5, 25, False, False, True),
        (6, 5, True, False, False),
        (25, 5, False, True, False),
        (5, 25, False, True, True),
    ],
)
def test_one_recipe_that_does_not_win_is_no_verdict_on_fine_tuning(
    tmp_path, wins, losses, searched, turned, warned
):
    before, right = outcomes(60, wins, losses, 40 - wins - losses)
    training = {**TRAINING, "search": SEARCH} if searched else TRAINING
    results = {**TUNED, "finetuning": {**TUNED["finetuning"], "trainings": [training]}}
    base = write_run(tmp_path / "frozen", Y, answers(Y, before))
    tuned = write_run(tmp_path / "tuned", Y, answers(Y, right), results=results)
    [verdict] = compare_runs([tuned, base] if turned else [base, tuned]).verdicts
    assert f"Tried: {TRIED}." in verdict
    assert ("This says nothing of other recipes" in verdict) == warned


def test_a_run_of_an_older_featx_tried_one_recipe(tmp_path):
    before, right = outcomes(60, 6, 5, 29)
    base = write_run(tmp_path / "frozen", Y, answers(Y, before))
    old = {**TUNED, "finetuning": {"answer": "finetuned"}}
    tuned = write_run(tmp_path / "tuned", Y, answers(Y, right), results=old)
    [verdict] = compare_runs([base, tuned]).verdicts
    assert "Tried: one recipe, by an earlier featx. This says nothing of other" in verdict


def test_a_fine_tune_on_the_folds_of_a_nested_search(tmp_path):
    folds = np.arange(100) // 20
    before, right = outcomes(60, 25, 5, 10)
    base = write_run(tmp_path / "base", Y, answers(Y, before), split=["oof", "nested"], folds=folds)
    splits = ["oof", "frozen"]
    tuned = write_run(
        tmp_path / "tuned", Y, answers(Y, right), split=splits, folds=folds, results=TUNED
    )
    document = compare_runs([base, tuned]).document
    assert document["judged"]["level"] == "folds"
    assert document["notes"] == [
        "The folds also chose between the fine-tuned and the frozen backbone, so the numbers of "
        "'tuned' are slightly too high on average."
    ]


def test_a_frozen_backbone_that_was_kept_is_not_called_fine_tuned(tmp_path):
    before, right = outcomes(60, 25, 5, 10)
    base = write_run(tmp_path / "base", Y, answers(Y, before))
    kept = {**TUNED, "chosen": {**TUNED["chosen"], "kind": "frozen"}}
    new = write_run(tmp_path / "new", Y, answers(Y, right), results=kept)
    comparison = compare_runs([base, new])
    assert comparison.verdicts[0].startswith("new adds")
    what = comparison.document["runs"][1]["what"]
    assert what == "frozen timm:resnet18, fine-tuning not kept"


def extraction(computed, cached, elapsed_s, fingerprint="f"):
    report = {"computed": computed, "cached": cached, "elapsed_s": elapsed_s}
    return {"timm:resnet18": {"fingerprint": fingerprint, "report": report}}


def priced(tmp_path, **extractions):
    """Runs that spent one second on their extraction and three on the search."""
    before, right = outcomes(60, 25, 5, 10)
    return compare_runs(
        [
            write_run(
                tmp_path / name, Y, answers(Y, which),
                results={"extraction": each, "cost": {"extract_s": 1.0, "fit_s": 3.0}},
            )
            for (name, each), which in zip(extractions.items(), (before, right), strict=True)
        ]
    )  # fmt: skip


def test_cached_embeddings_are_priced_like_computed_ones(tmp_path):
    comparison = priced(tmp_path, a=extraction(100, 0, 20.0), b=extraction(0, 100, 0.1))
    first, second = (run["cost"] for run in comparison.document["runs"])
    assert (first["cached_s"], first["total_s"]) == (0, 4.0)
    assert (second["cached"], second["cached_s"], second["total_s"]) == (100, 20.0, 24.0)
    assert (first["images_per_s"], second["images_per_s"]) == (5.0, None)
    assert comparison.verdicts[0].endswith("for 6 times the compute.")
    assert comparison.document["notes"] == [
        "Embeddings that came from the cache are priced at what they cost in another of the runs: "
        "'b' 100."
    ]


@pytest.mark.parametrize("other", [extraction(0, 100, 0.1), extraction(100, 0, 20.0, "another")])
def test_where_the_price_of_cached_embeddings_is_not_known_no_extraction_counts(tmp_path, other):
    comparison = priced(tmp_path, a=other, b=extraction(0, 100, 0.1))
    costs = [run["cost"] for run in comparison.document["runs"]]
    assert [cost["total_s"] for cost in costs] == [3.0, 3.0]
    assert [cost["with_extraction"] for cost in costs] == [False, False]
    assert comparison.verdicts[0].endswith("for about the same compute after extraction.")
    [note] = comparison.document["notes"]
    assert note.startswith("Embeddings came from the cache, and what they cost is not known: ")
    assert note.endswith("'b' 100. Totals are of search and training alone, for all runs.")


def test_less_is_better_for_losses(tmp_path):
    before, right = outcomes(60, 25, 5, 10)
    a = write_run(tmp_path / "a", Y, answers(Y, before))
    cost = {"extract_s": 9.0, "fit_s": 9.0}
    b = write_run(tmp_path / "b", Y, answers(Y, right), results={"cost": cost})
    comparison = compare_runs([a, b], metric="log_loss")
    assert comparison.verdicts[0].startswith("b lowers log loss by 0.439 [0.")
    assert [run["pareto"] for run in comparison.document["runs"]] == [True, True]
    turned = compare_runs([b, a], metric="log_loss")
    assert turned.verdicts[0].startswith("a raises log loss by 0.439 [0.")


def test_the_front_by_hand():
    #       cheap, better for more, beaten by the second, as good for more, unknown price
    quality = [0.80, 0.90, 0.85, 0.90, 0.99]
    cost = [1.0, 10.0, 11.0, 12.0, None]
    assert pareto_front(quality, cost) == [True, True, False, False, False]
    assert pareto_front([0.5, 0.5], [2.0, 2.0]) == [True, True]


def test_older_runs_are_compared_over_images_and_that_is_said(tmp_path):
    document = compare_runs(pair(tmp_path, 60, 25, 5, 10, older=True)).document
    assert document["judged"]["unit"] == "images"
    [note] = document["notes"]
    assert note.startswith("Written by an older version of featx")
    assert "Images are drawn one by one" in note


def test_folds_that_chose_are_used_last_and_said_to_favour(tmp_path):
    folds = np.arange(100) // 20
    runs = pair(tmp_path, 60, 25, 5, 10, split=["oof"], folds=folds)
    document = compare_runs(runs).document
    assert document["judged"]["level"] == "oof"
    assert "too high on average" in document["notes"][0]
    # One trial chose nothing: its own folds are as honest as a nested search's.
    before, right = outcomes(60, 25, 5, 10)
    one = {"search": {"trials": 1}}
    a = write_run(tmp_path / "a", Y, answers(Y, before), split="oof", folds=folds, results=one)
    b = write_run(tmp_path / "b", Y, answers(Y, right), split="nested", folds=folds)
    document = compare_runs([a, b]).document
    assert document["judged"]["level"] == "folds"
    assert document["notes"] == []


def test_the_test_split_goes_before_the_folds(tmp_path):
    runs = pair(tmp_path, 60, 25, 5, 10, split=["oof", "nested", "test"])
    assert compare_runs(runs).document["judged"]["level"] == "test"


def test_runs_of_one_name_go_by_their_paths(tmp_path):
    before, right = outcomes(60, 25, 5, 10)
    a = write_run(tmp_path / "x" / "run", Y, answers(Y, before))
    b = write_run(tmp_path / "y" / "run", Y, answers(Y, right))
    comparison = compare_runs([a, b])
    assert [run["label"] for run in comparison.document["runs"]] == [str(a), str(b)]
    assert {row[-1] for row in comparison.disagreements()} == {str(a), str(b)}


def test_the_same_seed_gives_the_same_document(tmp_path):
    runs = pair(tmp_path, 60, 25, 5, 10)
    one, again, other = (compare_runs(runs, seed=s).document for s in (0, 0, 1))
    assert one == again
    assert one != other


@pytest.mark.parametrize(
    ("wins", "losses", "advice"),
    [(25, 5, "take 'new'"), (5, 25, "keep the baseline"), (6, 5, "'new' took the least time")],
)
def test_a_run_that_is_reliably_worse_is_not_advised_for_its_cost(
    tmp_path, capfd, wins, losses, advice
):
    before, right = outcomes(60, wins, losses, 40 - wins - losses)
    cheap = {"cost": {"extract_s": 0.1, "search_s": 0.1}}
    base = write_run(tmp_path / "base", Y, answers(Y, before))
    new = write_run(tmp_path / "new", Y, answers(Y, right), results=cheap)
    outcome = in_process(capfd)("compare", base, new)
    assert outcome.code == 0, outcome.err
    [said] = [line for line in outcome.out.splitlines() if "Next: " in line]
    assert advice in said
