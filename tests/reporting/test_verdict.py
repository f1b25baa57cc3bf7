"""The plain verdict: each number in it is one of the results, whatever these are."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss

from featx.numbers import interval, number
from featx.reporting.summaries.audit import audit_verdict
from featx.reporting.summaries.thresholds import cutoff_text, threshold_sentence
from featx.reporting.tables import READ, estimate_blocks, headline_metric
from featx.reporting.verdict import guess, plain, run_verdict
from featx.stats.intervals import describe_predictions
from featx.stats.operating import Resamples, describe_calls

NUMBER = re.compile(r"(?<![\w.])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")
SCORINGS = ("balanced_accuracy", "accuracy", "f1_macro", "f1_weighted", "roc_auc_ovr",
            "neg_log_loss")  # fmt: skip


def results_of(
    seed: int, n: int, n_classes: int, skill: float, scoring: str, **changes: Any
) -> dict[str, Any]:
    """Results of made predictions: ``skill`` 0 is guessing, 1 nearly always right."""
    rng = np.random.default_rng(seed)
    y = rng.choice(
        n_classes, n, p=np.linspace(1, 2, n_classes) / np.linspace(1, 2, n_classes).sum()
    )
    proba = rng.dirichlet(np.ones(n_classes), n)
    proba = (1 - skill) * proba + skill * np.eye(n_classes)[y]
    classes = [f"class {c}" for c in range(n_classes)]
    numbers = describe_predictions(y, proba, classes, np.arange(n), unit="images", seed=0)
    counts = np.bincount(y, minlength=n_classes).tolist()
    return {
        "scoring": scoring,
        "classes": classes,
        "class_counts": dict(zip(classes, counts, strict=True)),
        "estimate": {"method": "nested", "description": "nested", **numbers},
        "estimates": {},
        "search": {"trials": 1},
        "dataset": {"quarantined": 0},
        **changes,
    }


def numbers_of(value: Any) -> set[str]:
    """Every number of a document, as any sentence may write it."""
    if isinstance(value, dict):
        return set().union(*map(numbers_of, value.values()), numbers_of(list(value)))
    if isinstance(value, list | tuple):
        return set().union(*map(numbers_of, value))
    if isinstance(value, str):
        return set(NUMBER.findall(value))
    if isinstance(value, bool) or value is None:
        return set()
    whole = {f"{value:,}"} if isinstance(value, int) else set()
    return whole | {number(value), number(value, 1), number(value, 1, scale=100)}


@given(
    st.integers(0, 10_000),
    st.sampled_from([6, 40, 150]),
    st.sampled_from([2, 3, 6]),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from(SCORINGS),
)
@settings(max_examples=25)
def test_every_number_is_one_of_the_results(
    seed: int, n: int, n_classes: int, skill: float, scoring: str
) -> None:
    results = results_of(seed, n, n_classes, skill, scoring)
    sentences = [plain(text) for text in run_verdict(results)]
    assert 3 <= len(sentences) <= 6
    support = {k: v["support"] for k, v in results["estimate"]["per_class"].items()}
    chance = guess(headline_metric(results), support)
    known = numbers_of(results) | {number(chance), "95", "20"}
    for sentence in sentences:
        assert set(NUMBER.findall(sentence)) <= known, sentence
    read = results["estimate"]["metrics"][headline_metric(results)]
    assert interval(read) in sentences[0]
    assert sentences[0].startswith("The number to read: ")
    marked = [row for block in estimate_blocks(results) if hasattr(block, "rows")
              for row in block.rows if READ in str(row[0])]  # fmt: skip
    assert [row[1] for row in marked] == [read]


@pytest.mark.parametrize("scoring", SCORINGS)
def test_guessing_is_told_from_skill(scoring: str) -> None:
    good, bad = (results_of(1, 300, 3, skill, scoring) for skill in (0.9, 0.0))
    assert "guessing would give" in plain(run_verdict(good)[1])
    assert "no better than guessing" in plain(run_verdict(bad)[1])
    assert "featx audit" in plain(run_verdict(bad)[-1])


def test_what_guessing_gives_is_what_the_metrics_say() -> None:
    y = np.array([0] * 5 + [1] * 3 + [2] * 2)
    support = {"a": 5, "b": 3, "c": 2, "none": 0}
    commonest = np.zeros(10, int)
    shares = np.tile([0.5, 0.3, 0.2], (10, 1))
    assert guess("accuracy", support) == accuracy_score(y, commonest)
    assert guess("balanced_accuracy", support) == pytest.approx(
        balanced_accuracy_score(y, commonest)
    )
    rng = np.random.default_rng(0)
    many = np.repeat(y, 20_000)
    ways = [np.zeros(len(many), int), rng.permutation(many), rng.integers(0, 3, len(many))]
    for name, average in (("f1_macro", "macro"), ("f1_weighted", "weighted")):
        expected = max(f1_score(many, way, average=average, zero_division=0) for way in ways)
        assert guess(name, support) == pytest.approx(expected, abs=0.005)
    assert guess("log_loss", support) == pytest.approx(log_loss(y, shares))
    assert guess("matthews", support) is None


def test_degenerate_runs_have_sentences_too() -> None:
    nothing = {"value": None, "low": None, "high": None}
    results = results_of(0, 40, 2, 0.5, "roc_auc_ovr")
    estimate = results["estimate"]
    for name in estimate["metrics"]:
        estimate["metrics"][name] = nothing
    for row in estimate["per_class"].values():
        row.update(recall=nothing, support=0)
    said = [plain(text) for text in run_verdict(results)]
    assert len(said) >= 3
    assert "cannot be told" in said[1]
    assert "no image of class 0, class 1 was evaluated" in " ".join(said)
    sure = results_of(0, 40, 2, 1.0, "accuracy")
    assert any("No class is hard: all 40 images" in plain(text) for text in run_verdict(sure))


def test_what_is_doubtful_is_named_the_gravest_first() -> None:
    near = {"images": 40, "near": 4, "accuracy_near": 0.9, "accuracy_others": 0.8}
    results = results_of(0, 40, 3, 0.6, "accuracy", near_copies=near, search={"trials": 7})
    results["estimate"]["method"] = "cv"
    said = " ".join(plain(text) for text in run_verdict(results))
    assert "4 of 40 evaluated images have a nearly identical training image" in said
    assert "may be optimistic" in said
    assert "the best of 7 settings was chosen on the same images" in said
    lower = {**near, "accuracy_near": 0.7}
    said = " ".join(plain(text) for text in run_verdict({**results, "near_copies": lower}))
    assert "4 of 40" in said
    assert "optimistic" not in said


@given(st.integers(0, 10_000), st.sampled_from(["recall=0.9", "precision=0.5", "cutoff=1e-05"]))
@settings(max_examples=25)
def test_with_a_threshold_its_recall_is_the_number_to_read(seed: int, asked: str) -> None:
    rng = np.random.default_rng(seed)
    own, called = rng.random(60) < 0.3, rng.random(60) < 0.5
    own[0] = called[1] = True
    resamples = Resamples(np.arange(60), seed=0, n_columns=5)
    [rates] = describe_calls(resamples, own, [called], n_folds=None)
    decision = {"asked": f"class 1:{asked}", "cutoff": 3.2e-06, "prevalence": None, **rates,
                "warning": "9 class 1 images: it is known to within 30 points"}  # fmt: skip
    results = results_of(0, 60, 2, 0.5, "accuracy", trust={"decision": decision})
    said = [plain(text) for text in run_verdict(results)]
    recall = interval(rates["recall"], 1, scale=100, unit=" %")
    assert said[0].startswith(f"The number to read: recall of class 1 {recall}")
    assert "from a probability of 3.2e-06 on" in said[0]
    assert f"That costs {interval(rates['false_alarms'], 1)} false alarms per 1,000" in said[1]
    low = rates["recall"]["low"]
    wrong = 1 - rates["specificity"]["value"]
    assert ("no better than guessing" in said[1]) == (low <= wrong)
    assert decision["warning"] in " ".join(said)
    sentence = threshold_sentence(decision)
    for row in (rates["recall"], rates["precision"]):
        assert interval(row, 1, scale=100, unit=" %") in sentence


@given(st.floats(0, 1))
def test_a_cutoff_is_shown_apart_from_0_and_1(cutoff: float) -> None:
    shown = float(cutoff_text(cutoff))
    assert shown == pytest.approx(cutoff, rel=0.006, abs=1e-12)
    assert (shown == 0) == (cutoff == 0)
    if cutoff < 1 - 1e-9:
        assert shown < 1


def audit_of(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "images": 32, "quarantined": [], "serious": [], "copies": [], "shortcuts": [],
        "label_issues": None, "separability": None, "summary": [], "groups_found": [],
    }  # fmt: skip
    return {**found, **changes}


def test_an_audit_has_its_verdict() -> None:
    clean = [plain(text) for text in audit_verdict(audit_of())]
    assert clean[0] == "The finding to read: nothing serious in 32 images."
    assert clean[-1] == "Next: fit."
    recall = {"value": 0.5, "low": 0.25, "high": 0.75}
    copies = [
        {"exact": True, "across_classes": True, "across_splits": False},
        {"exact": False, "across_classes": False, "across_splits": True},
    ]
    shortcut = {"family": "size", "serious": True, "given_away": ["a", "b"],
                "balanced_accuracy": recall, "by_class": {"a": recall}}  # fmt: skip
    said = [
        plain(text)
        for text in audit_verdict(
            audit_of(
                serious=["copies across splits"],
                quarantined=[{}],
                copies=copies,
                shortcuts=[shortcut],
                label_issues={"suspects": [{}], "quality": {"x": 0.1, "y": 0.9}},
                separability={"per_class": {"a": {"recall": recall}}},
            )
        )
    ]
    assert said == [
        "The finding to read: serious, copies across splits, in 32 images, and 1 file could not be "
        "read.",
        "2 sets of copies: 1 exact, 1 near, 1 with different labels, 1 across splits.",
        "Without the picture, the size in pixels gives class 'a' away (ROC AUC 0.50 [0.25, 0.75]), "
        "and 1 more class is too.",
        "1 of 2 labels is doubted: look at them.",
        "Hardest is 'a': 50.0 % [25.0, 75.0] of its images are recognised out of fold.",
        "Next: look at copies across splits before any fit.",
    ]


def test_the_verdict_of_an_audit_names_the_groups_and_what_to_do() -> None:
    found = {"taken": True, "family": "names", "groups": 62, "said": "field 0 of their names",
             "effect": {"difference": {"value": -0.031}}}  # fmt: skip
    copies = {**found, "family": "pictures"}
    said = [plain(text) for text in audit_verdict(audit_of(groups_found=[copies, found]))]
    assert said[2:] == [
        "62 groups were found by field 0 of their names; --group groups.csv keeps each in one "
        "fold, which changes a quick classifier's balanced accuracy by -3.1 points.",
        "Next: fit with --group groups.csv.",
    ]
    for none in ({**found, "taken": False}, copies):  # copies have a sentence of their own
        assert plain(audit_verdict(audit_of(groups_found=[none]))[-1]) == "Next: fit."
