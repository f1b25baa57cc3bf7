"""Counts corrected for a classifier's errors, and audits, on data whose answer is known."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.errors import UsageError
from featx.scoring.counting import part_of
from featx.scoring.new_classes import name_new_classes
from featx.stats import counting
from featx.stats.audits import Design, allocate, audited_counts, merge_cells
from featx.stats.counting import Reference, count_classes, count_intervals, whole_counts
from featx.stats.raking import rake

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
    assert grouped.effect == pytest.approx(5, rel=0.03)
    new = images(np.repeat([0, 1, 2], 50), rng)
    widths = [
        np.ptp(np.percentile(count_classes(grouped, new, alike=a, seed=0).counts[:, 1], (5, 95)))
        for a in (1 / 150, 1 / 3)
    ]
    assert widths[1] > widths[0]


def of_groups(
    rng: np.random.Generator, n: int, n_groups: int, spread: float, share: float = 0.5
) -> Any:
    """Two classes whose log-odds differ between groups with a standard deviation of ``spread``."""
    unit = rng.integers(0, n_groups, n)
    y = rng.random(n) < share
    odds = rng.normal(np.where(y, 3.0, -3.0), 2.5) + spread * rng.normal(size=n_groups)[unit]
    p = 1 / (1 + np.exp(-odds))
    return y.astype(np.int64), np.column_stack([1 - p, p]), unit


def test_groups_of_known_variance_are_covered() -> None:
    """A fit that takes images for independent is sure of what a few groups happen to show."""
    covered: dict[bool, list[bool]] = {True: [], False: []}
    variances = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        y, proba, unit = of_groups(rng, 500, 20, 1.2)
        new, new_proba, new_unit = of_groups(rng, 150, 3, 1.2, rng.uniform(0.1, 0.9))
        alike = float(((np.bincount(new_unit) / 150) ** 2).sum())
        for grouped in (True, False):
            known = Reference.of(y, proba, unit if grouped else np.arange(500))
            draws = count_classes(known, new_proba, alike=alike, seed=seed, n_draws=60).counts
            low, high = count_intervals(draws, 150)
            covered[grouped].append(bool(low[1] <= new.sum() <= high[1]))
            if known.groups is not None:
                found = known.groups
                variances.append(2 * (found.together[0] - found.alone[0]) / found.reach[0])
    assert np.mean(covered[True]) >= 0.87
    assert np.mean(covered[True]) > np.mean(covered[False]) + 0.15
    assert 0.7 < np.median(variances) < 1.8  # 1.44, of which averaging over groups takes some


def test_groups_without_effects_or_in_one_class_each_widen_nothing_much() -> None:
    rng = np.random.default_rng(8)
    y, proba, unit = of_groups(rng, 800, 25, 0.0)
    alone = Reference.of(y, proba, np.arange(800))
    assert alone.groups is None
    widths = []
    new = of_groups(rng, 200, 10, 0.0)[1]
    for known in (alone, Reference.of(y, proba, unit)):
        low, high = count_intervals(count_classes(known, new, alike=0.1, seed=0).counts, 200)
        widths.append((high - low).mean())
    assert widths[0] <= widths[1] < 1.6 * widths[0]
    assert Reference.of(y, proba, y).groups is None  # groups and classes are the same thing


@pytest.mark.parametrize(
    ("draws", "ends"),
    [
        ([0] * 60 + [1] * 25 + [2] * 13 + [30] * 2, (0, 2)),
        ([1] * 60 + [2] * 25 + [3] * 10 + [9] * 5, (0, 9)),  # crowds at 0, which no draw is
        ([40, 50, 60, 50] * 25, (40, 60)),
        ([100] * 60 + [99] * 30 + [80] * 10, (80, 100)),
    ],
)
def test_intervals_reach_the_ends_where_draws_crowd_there(
    draws: list[int], ends: tuple[int, int]
) -> None:
    low, high = count_intervals(np.array(draws)[:, None], 100)
    assert (low[0], high[0]) == ends


def test_labelled_images_count_as_labelled_however_they_were_chosen() -> None:
    covered, widths = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        y = np.repeat(np.arange(3), rng.multinomial(150, rng.dirichlet(np.ones(3))))
        proba, true = images(y, rng), np.bincount(y, minlength=3)
        reference_ = reference(rng)
        chosen = np.argsort(proba.max(axis=1))[:50]  # the most doubtful
        labels = np.full(150, -1)
        labels[chosen] = y[chosen]
        for known in (None, labels):
            draws = count_classes(reference_, proba, known=known, seed=seed, n_draws=80)
            low, high = count_intervals(draws.counts, 150)
            widths.append((high - low).mean())
        covered += ((low <= true) & (true <= high)).tolist()
        assert (draws.counts >= np.bincount(y[chosen], minlength=3)).all()
        assert (draws.content[chosen, y[chosen]] == 1).all()
    assert np.mean(covered) >= 0.9
    assert np.mean(widths[1::2]) < 0.7 * np.mean(widths[::2])
    exact = count_classes(reference_, proba, known=y, seed=0, n_draws=5).counts
    assert (exact == true).all()


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
    counts = whole_counts(found.counts.mean(axis=0), n)
    nothing = 0 * predicted
    names = list("abcde"[:n_classes])
    part = part_of("", "", names, predicted, found.counts, counts, nothing, nothing)
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


def with_a_new_class(seed: int, size: int) -> tuple[np.ndarray, ...]:
    """True counts and ends, where images of a class that the model does not know lie between."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(4), rng.multinomial(300, [0.3, 0.3, 0.25, 0.15]))
    means = np.vstack([MEANS, [1.2, 1.2]])
    x = means[y] + rng.normal(size=(300, 2))
    density = np.exp(-((x[:, None] - MEANS) ** 2).sum(axis=2) / 2) * PRIOR
    proba = density / density.sum(axis=1, keepdims=True)
    design = Design.of(proba, proba.argmax(axis=1), proba.max(axis=1) < 0.7, size, seed)
    wide = design.widened(design.rows, y[design.rows], 4)
    draws = wide.count(design.rows, y[design.rows], seed=seed)
    assert wide.forecast.sum(axis=1) == pytest.approx(1)
    assert (wide.forecast >= 0).all()
    return np.bincount(y, minlength=4), *count_intervals(draws, 300)


def test_a_class_that_the_model_does_not_know_is_estimated() -> None:
    found = [with_a_new_class(seed, 60) for seed in range(60)]
    assert np.mean([low[3] <= true[3] <= high[3] for true, low, high in found]) >= 0.87
    assert np.mean([high[3] - low[3] for _, low, high in found]) < 60
    true, low, high = with_a_new_class(0, 300)
    assert (low == true).all()
    assert (high == true).all()


@given(
    st.lists(st.lists(st.integers(0, 60), min_size=3, max_size=3), min_size=1, max_size=6),
    st.integers(0, 2**32 - 1),
)
def test_raked_tables_have_both_sums(table: list[list[int]], seed: int) -> None:
    true, rng = np.array(table), np.random.default_rng(seed)
    values = true * rng.gamma(3, 1 / 3, true.shape) * rng.integers(0, 2, true.shape)
    raked = rake(values, true.sum(axis=1), true.sum(axis=0))
    assert (raked.sum(axis=1) == true.sum(axis=1)).all()
    assert (raked.sum(axis=0) == true.sum(axis=0)).all()
    assert (raked >= 0).all()
    assert (rake(true, true.sum(axis=1), true.sum(axis=0)) == true).all()


@pytest.mark.parametrize(
    ("labels", "allowed", "found"),
    [
        (["fox", "frog", "frog", "red deer"], [], {"frog": 2, "fox": 1}),
        (["red deer"], [], {}),
        (["red dear"], ["red dear"], {"red dear": 1}),
        (["red dear"], [], "Did you mean 'red deer'?"),
        (["wofl"], [], "Did you mean 'wolf'?"),
        (["wolfram"], [], {"wolfram": 1}),
        (["erd dere"], [], "Did you mean 'red deer'?"),
        (["reed der"], [], "Did you mean 'red deer'?"),
        (["edr dere"], [], {"edr dere": 1}),
        (["wofk"], [], {"wofk": 1}),
        (["Red_Deer"], [], "Did you mean 'red deer'?"),
        (["fox"], ["frog"], "no image is labelled so"),
    ],
)
def test_labels_beyond_the_model(labels: list[str], allowed: list[str], found: Any) -> None:
    if isinstance(found, str):
        with pytest.raises(UsageError, match=re.escape(found)):
            name_new_classes(labels, ["red deer", "wolf"], allowed)
    else:
        assert name_new_classes(labels, ["red deer", "wolf"], allowed) == found


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
