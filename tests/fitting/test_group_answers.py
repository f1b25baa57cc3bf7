"""One answer for a group: known answers, what is fitted out of fold, and what the model keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fit_lab import make_data

from featx.artifact.grouped import predict_groups
from featx.artifact.threshold import read_threshold
from featx.artifact.trust import GroupAnswers, PredictionSets, Trust
from featx.config import FitConfig
from featx.errors import ConfigError, UnknownNameError, UsageError
from featx.fitting import fit_heads
from featx.fitting.data import Part
from featx.fitting.groups import (
    GroupRule,
    _answer,
    check_group_answer,
    describe_groups,
    fit_group_answers,
    group_notes,
)
from featx.fitting.held import HeldOut
from featx.stats.groups import Way, possible_ways, read_way

RIDGE = {"head": ["ridge"], "sampler": ["none"], "jobs": 1}
PROBA = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
CODES = np.array([1, 0, 1, 1])


def pooled(way: Way, proba: np.ndarray = PROBA, codes: np.ndarray = CODES) -> np.ndarray:
    return way.pool(proba, proba.argmax(axis=1), codes)


def test_each_way_by_hand() -> None:
    assert pooled(Way("mean"))[:, 1] == pytest.approx([0.8, 0.8 / 3])
    # three votes for the first class, and the mean as one more
    assert pooled(Way("vote"))[:, 1] == pytest.approx([1.8 / 2, (0 + 0.8 / 3) / 4])
    assert pooled(Way("max", 1))[:, 1] == pytest.approx([0.8, 0.4])
    assert pooled(Way("noisy-or", 1))[:, 1] == pytest.approx([0.8, 1 - 0.9 * 0.6 * 0.7])
    three = np.array([[0.5, 0.2, 0.3], [0.1, 0.6, 0.3]])
    shares = pooled(Way("max", 2), three, np.zeros(2, int))
    assert shares[0] == pytest.approx([0.7 * 0.3 / 0.7, 0.7 * 0.4 / 0.7, 0.3])
    certain = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert pooled(Way("noisy-or", 1), certain, np.zeros(2, int)).tolist() == [[0.0, 1.0]]


def test_rows_add_up_whatever_the_order_and_one_image_answers_for_itself() -> None:
    rng = np.random.default_rng(0)
    proba, codes = rng.dirichlet(np.ones(2), 60), rng.permutation(np.arange(60) % 7)
    order = rng.permutation(60)
    for way in possible_ways(2):
        found = pooled(way, proba, codes)
        assert found.sum(axis=1) == pytest.approx(1)
        assert (found >= 0).all()
        assert pooled(way, proba[order], codes[order]) == pytest.approx(found)
        alone = pooled(way, proba, np.arange(60))
        assert (alone.argmax(axis=1) == proba.argmax(axis=1)).all()
        if way.name != "vote":
            assert alone == pytest.approx(proba)


def test_votes_that_tie_are_decided_by_the_mean() -> None:
    proba = np.array([[0.55, 0.45], [0.1, 0.9]])
    assert pooled(Way("vote"), proba, np.zeros(2, int)).argmax() == 1


def test_labels_of_groups() -> None:
    y, codes = np.array([0, 1, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 2, 2])
    assert Way("mean").labels(y, codes).tolist() == [-1, 0, 1]
    assert Way("max", 1).labels(y, codes).tolist() == [1, 0, 1]


def test_ways_are_read_strictly() -> None:
    assert read_way("noisy-or:a:b", ["a:b", "c"]) == Way("noisy-or", 0)
    for text in ("max", "mean:c", "median", "", "max :c"):
        with pytest.raises(ConfigError, match="--group-answer"):
            read_way(text, ["a:b", "c"])
    with pytest.raises(UnknownNameError, match="sick"):
        read_way("max:sick", ["a:b", "c"])
    with pytest.raises(UsageError, match="has no effect"):
        check_group_answer(FitConfig(group_answer="vote"), ["a", "b"], grouped=False)


def grouped(n_groups: int, size: int, seed: int, *, sharp: float = 1.0) -> HeldOut:
    """Groups of one class, whose images are right a little more often than not."""
    rng = np.random.default_rng(seed)
    y = np.repeat(rng.integers(0, 2, n_groups), size)
    odds = sharp * (2 * y - 1) * 0.7 + 1.2 * rng.normal(size=len(y))
    p = 1 / (1 + np.exp(-odds))
    groups = np.repeat(np.arange(n_groups), size)
    part = Part(X={}, y=y, classes=["a", "b"], ids=[str(i) for i in range(len(y))],
                hashes=np.zeros((len(y), 32), np.uint8), copies=np.arange(len(y)),
                groups=groups)  # fmt: skip
    proba = np.column_stack([1 - p, p])
    return HeldOut("oof", part, groups % 5, proba)


def test_sets_cover_new_groups_as_often_as_meant() -> None:
    """The true class reaches its threshold for 90 % of groups that took no part, on average."""
    config, hits = FitConfig(), []
    for seed in range(200):
        answers = fit_group_answers(grouped(60, 3, seed), config)
        assert answers is not None
        new = grouped(60, 3, 1000 + seed)
        names = [str(g) for g in new.part.groups]
        found = predict_groups(Trust(groups=answers), ["a", "b"], new.proba, new.y_pred, names)
        true = new.part.y[::3]
        own = found.probabilities[np.arange(60), true]
        hits.append(np.mean(own >= np.array(answers.sets["mean"].thresholds)[true]))
        assert found.sets is not None
        assert found.sets[np.arange(60), found.y_pred].all()
    assert np.mean(hits) == pytest.approx(0.9, abs=0.015)


def test_a_fold_is_answered_by_the_other_folds() -> None:
    """With one fold's labels turned round, its own groups are answered as before."""
    images = grouped(40, 4, 3)
    document = describe_groups([images], GroupRule(FitConfig()))
    assert document is not None
    assert document["n_predicted_groups"] == document["n_units"] == 40
    assert document["prediction_sets"]["over"] == "groups"
    y = np.where(images.fold == 0, 1 - images.part.y, images.part.y)
    turned = replace(images, part=replace(images.part, y=y))
    rule = GroupRule(FitConfig(group_answer="auto"), read_threshold("b:recall=0.8", ["a", "b"]))
    one, other = (_answer(each, rule) for each in (images, turned))
    assert one.inside is not None
    assert other.inside is not None
    own = images.fold[::4] == 0
    for name in ("proba", "y_pred", "inside", "abstained"):
        assert (vars(one)[name][own] == vars(other)[name][own]).all(), name
    assert (one.inside[~own] != other.inside[~own]).any()


def test_the_way_is_chosen_where_one_positive_image_is_rare_but_telling() -> None:
    """A sick patient has one telling image among ten: the mean hides it."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(60) % 2, 10)
    p = rng.uniform(0.0, 0.1, 600)
    p[np.arange(60)[1::2] * 10] = rng.uniform(0.9, 1.0, 30)
    part = Part({}, y, ["healthy", "sick"], [str(i) for i in range(600)],
                np.zeros((600, 32), np.uint8), np.arange(600), np.arange(600) // 10)  # fmt: skip
    proba = np.column_stack([1 - p, p])
    images = HeldOut("oof", part, np.repeat(np.arange(60), 10) % 5, proba)
    config = FitConfig(group_answer="auto")
    answers = fit_group_answers(images, config)
    assert answers is not None
    assert answers.way in {"max:sick", "noisy-or:sick"}
    accuracies = {}
    for way in ("mean", "auto"):
        rule = GroupRule(FitConfig(group_answer=way))
        document = describe_groups([images], rule)
        assert document is not None
        accuracies[way] = document["metrics"]["accuracy"]["value"]
    assert accuracies == {"mean": 0.5, "auto": 1.0}


def test_mixed_groups_are_said_and_have_a_class_where_one_image_decides() -> None:
    images = grouped(20, 4, 0)
    part = replace(images.part, y=np.arange(80) % 2)
    mixed = replace(images, part=part)
    assert describe_groups([mixed], GroupRule(FitConfig())) is None
    [note] = group_notes(mixed, FitConfig())
    assert note.startswith("20 of 20 groups have images of several classes")
    assert "--group-answer max:CLASS" in note
    answers = fit_group_answers(mixed, FitConfig())
    assert answers is not None
    assert (answers.groups, "mean" in answers.sets) == (0, False)
    positive = describe_groups([mixed], GroupRule(FitConfig(group_answer="max:b")))
    assert positive is not None
    assert positive["per_class"]["b"]["support"] == 20


def test_a_fit_keeps_the_answer_and_a_decision_holds_for_groups_too() -> None:
    groups = np.repeat(np.arange(16), 5)
    data = make_data([40, 40], distance=1.2, groups=groups)
    result = fit_heads(data, FitConfig(**RIDGE, cv=4, threshold="c1:cutoff=0.0"))
    by_group = result.estimate["by_group"]
    assert by_group["way"] == "mean"
    assert by_group["per_class"]["c1"]["recall"]["value"] == 1  # a cutoff of 0: everything is c1
    assert by_group["per_class"]["c0"]["recall"]["value"] == 0
    answers = result.trust.trust.groups
    assert answers is not None
    assert answers.groups == 16
    assert set(answers.sets) == {"mean", "vote", "max:c0", "max:c1", "noisy-or:c0", "noisy-or:c1"}
    without = fit_heads(make_data([20, 20]), FitConfig(**RIDGE, cv=3))
    assert without.trust.trust.groups is None
    assert "groups" not in without.trust.trust.model_dump()


def test_a_model_that_names_another_class_is_malformed() -> None:
    sets = PredictionSets(coverage=0.9, over="images", thresholds=[0.1, 0.1])
    for way, own in (("max:c", {}), ("mean", {"vote": sets, "max:c": sets})):
        trust = Trust(groups=GroupAnswers(way=way, groups=3, sets=own))
        assert trust.fault(["a", "b"]) == "trust.groups names a way to answer that does not exist"
    assert Trust(groups=GroupAnswers(way="mean", groups=3, sets={"vote": sets})).fault(
        ["a", "b", "c"]
    ) == ("trust.groups.sets.vote has 2 entries for 3 classes")
