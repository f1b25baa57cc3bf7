"""Counts corrected for a classifier's errors, and audits, on data whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.scoring.counting import part_of
from featx.stats import counting
from featx.stats.audits import Design, allocate, audited_counts, merge_cells
from featx.stats.counting import Reference, count_classes, whole_counts

MEANS = np.array([[0.0, 0.0], [1.8, 0.0], [0.0, 1.8]])
PRIOR = np.array([0.2, 0.5, 0.3])


def images(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Probabilities of a classifier that knows how classes look, trained with shares `PRIOR`."""
    x = MEANS[y] + rng.normal(size=(len(y), 2))
    density = np.exp(-((x[:, None] - MEANS) ** 2).sum(axis=2) / 2) * PRIOR
    return np.asarray(density / density.sum(axis=1, keepdims=True))


def reference(rng: np.random.Generator, n: int = 500, power: float = 1.0) -> Reference:
    """From labelled images, with probabilities that are too sure where ``power`` is above 1."""
    y = rng.choice(3, n, p=PRIOR)
    return Reference.of(y, too_sure(images(y, rng), power), np.arange(n))


def too_sure(proba: np.ndarray, power: float) -> np.ndarray:
    return np.asarray(proba**power / (proba**power).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_intervals_cover_and_predictions_alone_do_not(power: float) -> None:
    covered, argmax = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        known = reference(rng, power=power)
        y = np.repeat(np.arange(3), rng.multinomial(150, rng.dirichlet(np.ones(3))))
        proba, true = too_sure(images(y, rng), power), np.bincount(y, minlength=3)
        draws = count_classes(known, proba, seed=seed, n_draws=120).counts
        low, high = np.percentile(draws, (2.5, 97.5), axis=0, method="nearest")
        covered += ((low <= true) & (true <= high)).tolist()
        called = np.bincount(proba.argmax(axis=1), minlength=3)
        half = 1.96 * np.sqrt(called * (1 - called / 150))
        argmax += (abs(called - true) <= half).tolist()
    assert 0.9 <= np.mean(covered) <= 0.995
    assert np.mean(argmax) < np.mean(covered) - 0.05


def test_calibration_is_learned() -> None:
    known = reference(np.random.default_rng(1), 4000, power=2.0)
    assert known.scale == pytest.approx(0.5, abs=0.06)
    assert abs(known.bias - known.bias.mean()).max() < 0.25


def test_a_classifier_without_errors_is_not_corrected() -> None:
    y = np.repeat([0, 1, 2], [30, 40, 50])
    known = Reference.of(y, np.eye(3)[y], np.arange(len(y)))
    new = np.repeat([0, 1], [70, 10])
    draws = count_classes(known, np.eye(3)[new], seed=0, n_draws=200).counts
    low, high = np.percentile(draws, (2.5, 97.5), axis=0, method="nearest")
    assert abs(draws.mean(axis=0) - [70, 10, 0]).max() < 1.5
    assert (low <= [70, 10, 0]).all()
    assert (high >= [70, 10, 0]).all()
    assert (high - low).max() <= 8  # 30 images without an error do not rule errors out


def test_a_class_that_is_not_in_the_folder_counts_nothing_or_little() -> None:
    rng = np.random.default_rng(2)
    y = np.repeat([0, 1], [120, 80])
    draws = count_classes(reference(rng), images(y, rng), seed=0).counts
    assert np.percentile(draws[:, 2], 2.5, method="nearest") <= 1
    assert draws[:, 2].mean() < 12


def test_images_of_one_group_count_as_one() -> None:
    rng = np.random.default_rng(3)
    y = rng.choice(3, 300, p=PRIOR)
    proba = images(y, rng)
    alone = Reference.of(y, proba, np.arange(300))
    rows = np.repeat(np.arange(300), 5)
    grouped = Reference.of(y[rows], proba[rows], rows)
    assert alone.effect == 1
    assert 3 < grouped.effect < 5  # the share that lies within classes grows fivefold
    new = images(np.repeat([0, 1, 2], 50), rng)
    widths = [
        np.ptp(np.percentile(count_classes(grouped, new, alike=a, seed=0).counts[:, 1], (5, 95)))
        for a in (1 / 150, 1 / 3)
    ]
    assert widths[1] > widths[0]


def test_many_images_are_counted_like_few(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    known, proba = reference(rng), images(rng.choice(3, 900), rng)
    one_by_one = count_classes(known, proba, seed=0, n_draws=200)
    monkeypatch.setattr(counting, "MOST_ROWS", 150)
    together = count_classes(known, proba, seed=0, n_draws=200)
    assert abs(one_by_one.counts.mean(axis=0) - together.counts.mean(axis=0)).max() < 9
    assert (together.counts.sum(axis=1) == 900).all()


def test_a_new_class_raises_doubt_and_other_shares_do_not() -> None:
    rng = np.random.default_rng(5)
    known = reference(rng, 1000)
    same = images(np.repeat([0, 1, 2], [150, 30, 20]), rng)
    assert known.more_doubt(same, count_classes(known, same, seed=0).counts)[2] > 0.05
    between = np.full((60, 3), 1 / 3) + rng.normal(0, 0.02, (60, 3))
    strange = np.vstack([same, between / between.sum(axis=1, keepdims=True)])
    assert known.more_doubt(strange, count_classes(known, strange, seed=0).counts)[2] < 0.002


@given(st.integers(1, 40), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_counts_are_whole_and_add_up(n: int, n_classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    old = rng.dirichlet(np.ones(n_classes), 20)
    known = Reference.of(rng.integers(0, n_classes, 20), old, rng.integers(0, 8, 20))
    proba = rng.dirichlet(np.full(n_classes, 0.3), n)
    found = count_classes(known, proba, seed=seed, n_draws=10)
    assert (found.counts >= 0).all()
    assert (found.counts.sum(axis=1) == n).all()
    assert found.content.sum(axis=1) == pytest.approx(1)
    again = count_classes(known, proba, seed=seed, n_draws=10)
    assert (again.counts == found.counts).all()
    predicted = np.bincount(proba.argmax(axis=1), minlength=n_classes)
    part = part_of("", "", list("abcde"[:n_classes]), predicted, found.counts, 0 * predicted)
    assert sum(c.count for c in part.classes) == n
    assert all(0 <= c.low <= c.count <= c.high <= n for c in part.classes)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.integers(0, 500))
def test_whole_numbers_lie_next_to_the_values(shares: list[float], total: int) -> None:
    values = np.array(shares) + 1e-9
    values = values / values.sum() * total
    whole = whole_counts(values, total)
    assert whole.sum() == total
    assert (abs(whole - values) <= 1 + 1e-6).all()


@given(st.lists(st.integers(1, 60), min_size=1, max_size=9), st.integers(0, 300), st.data())
def test_every_stratum_is_drawn_from(sizes: list[int], more: int, data: st.DataObject) -> None:
    n = np.array(sizes)
    forecast = np.array([data.draw(st.sampled_from([[1.0, 0.0], [0.5, 0.5]])) for _ in sizes])
    total = int(np.minimum(n, 2).sum()) + more
    drawn = allocate(n, forecast, total)
    assert drawn.sum() == min(total, n.sum())
    assert (drawn >= np.minimum(n, 2)).all()
    assert (drawn <= n).all()


def test_doubtful_strata_are_drawn_from_more() -> None:
    drawn = allocate(np.array([100, 100]), np.array([[1.0, 0.0], [0.5, 0.5]]), 60)
    # Neyman: in proportion to the standard deviations, of which the least is that of 0.3.
    assert drawn[1] / drawn[0] == pytest.approx(np.sqrt(0.5 / 0.3), rel=0.1)


def test_small_cells_are_merged_with_others_of_their_doubt() -> None:
    cells = np.repeat([0, 1, 2, 3, 4], [50, 20, 1, 2, 3])
    strata = merge_cells(cells, 20, 2)
    assert len(np.unique(strata)) <= 4
    for name in np.unique(strata):
        assert len(np.unique(cells[strata == name] % 2)) == 1
    assert len(np.unique(merge_cells(cells, 100, 2))) == 5


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_audited_counts_hold_what_was_labelled(seed: int, n_strata: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 30, n_strata)
    labelled = np.array([rng.multinomial(rng.integers(0, n + 1), [0.6, 0.3, 0.1]) for n in sizes])
    draws = audited_counts(sizes, rng.dirichlet(np.ones(3), n_strata), labelled, seed=1, n_draws=20)
    assert (draws.sum(axis=1) == sizes.sum()).all()
    assert (draws >= labelled.sum(axis=0)).all()


def test_with_all_labelled_nothing_is_uncertain() -> None:
    labelled = np.array([[3, 1], [0, 2]])
    draws = audited_counts(labelled.sum(axis=1), np.full((2, 2), 0.5), labelled, seed=0)
    assert (draws == [3, 3]).all()


def audit(seed: int, *, wrong: bool) -> dict[str, Any]:
    """An audit of 40 of 300 images, by a model that is right or that has never seen the classes."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(3), rng.multinomial(300, rng.dirichlet(np.ones(3))))
    proba = images((y + wrong) % 3 if wrong else y, rng)
    content = count_classes(reference(rng), proba, seed=seed, n_draws=20).content
    design = Design.of(content, proba.argmax(axis=1), proba.max(axis=1) < 0.7, 40, 10_000 + seed)
    draws = design.count(design.rows, y[design.rows], seed=seed)
    low, high = np.percentile(draws, (2.5, 97.5), axis=0, method="nearest")
    true = np.bincount(y, minlength=3)
    return {"covered": (low <= true) & (true <= high), "width": (high - low).mean(),
            "design": design, "y": y, "content": content}  # fmt: skip


def test_an_audit_covers_even_where_the_model_is_wrong() -> None:
    right, wrong = ([audit(seed, wrong=w) for seed in range(40)] for w in (False, True))
    assert np.mean([each["covered"] for each in right]) >= 0.9
    assert np.mean([each["covered"] for each in wrong]) >= 0.85
    # A sample of twice as many at random: the width of a normal interval, with few left out.
    plain = [
        (3.92 * 300 * np.sqrt(p * (1 - p) / 80 * (1 - 80 / 300))).mean()
        for each in right
        for p in [np.bincount(each["y"], minlength=3) / 300]
    ]
    assert np.mean([each["width"] for each in right]) < np.mean(plain)
    assert np.mean([e["width"] for e in wrong]) > np.mean([e["width"] for e in right])


def test_a_part_is_counted_from_its_own_images() -> None:
    found = audit(7, wrong=False)
    design, y = found["design"], found["y"]
    rows = design.rows
    among = np.arange(300) % 2 == 0
    draws = design.count(rows, y[rows], seed=0, among=among, content=found["content"])
    own = np.bincount(y[rows][among[rows]], minlength=3)
    assert (draws.sum(axis=1) == 150).all()
    assert (draws >= own).all()
    assert abs(draws.mean(axis=0) - np.bincount(y[among], minlength=3)).max() < 25
