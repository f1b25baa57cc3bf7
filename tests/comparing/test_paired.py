"""McNemar's test and the interval that belongs to it."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from featx.stats.bootstrap import draw_units
from featx.stats.comparison import paired_bootstrap
from featx.stats.paired import mcnemar, paired_accuracy


@pytest.mark.parametrize(("wins", "losses"), [(9, 1), (0, 5), (30, 12), (7, 7), (0, 0), (1, 0)])
def test_mcnemar_is_twice_the_smaller_tail_of_fair_coins(wins, losses):
    n = wins + losses
    tail = sum(comb(n, k) for k in range(min(wins, losses) + 1)) / 2**n
    assert mcnemar(wins, losses) == pytest.approx(min(1, 2 * tail))
    assert mcnemar(wins, losses) == mcnemar(losses, wins)


def test_mcnemar_by_hand():
    """Ten fair coins: (1 + 10) / 1024 on either side."""
    assert mcnemar(9, 1) == pytest.approx(22 / 1024)


def likeliest(wins, losses, n, delta):
    """Probability that only the other is right, the likeliest under a difference of delta."""

    def loss(q):
        p = np.clip([q + delta, q, 1 - 2 * q - delta], 1e-12, 1)
        return -float(np.dot([wins, losses, n - wins - losses], np.log(p)))

    low, high = max(0, -delta), (1 - delta) / 2
    return minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x


@pytest.mark.parametrize(("wins", "losses", "n"), [(14, 3, 69), (5, 9, 30), (2, 1, 12)])
def test_the_interval_ends_where_the_score_test_turns(wins, losses, n):
    """At both ends the difference lies 1.96 standard errors of the likeliest model away."""
    test = paired_accuracy(wins, losses, n)
    for end in (test.low, test.high):
        q = likeliest(wins, losses, n, end)
        error = np.sqrt((2 * q + end - end**2) / n)
        assert abs(test.mean - end) / error == pytest.approx(1.96, abs=2e-3)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 60))
def test_the_interval_holds_the_difference_and_turns_with_the_sides(wins, losses, alike):
    n = wins + losses + alike
    if n == 0:
        return
    test, turned = paired_accuracy(wins, losses, n), paired_accuracy(losses, wins, n)
    assert -1 <= test.low <= test.mean <= test.high <= 1
    assert test.low < test.high
    assert (turned.low, turned.high) == pytest.approx((-test.high, -test.low), abs=1e-9)
    if test.p < 0.05:  # the exact test never says more than the interval
        assert not test.low <= 0 <= test.high


def test_the_interval_covers_what_it_should():
    rng = np.random.default_rng(0)
    wins, losses = 0.2, 0.08
    drawn = rng.multinomial(80, [wins, losses, 1 - wins - losses], size=400)
    tests = [paired_accuracy(int(b), int(c), 80) for b, c, _ in drawn]
    covered = np.mean([t.low <= wins - losses <= t.high for t in tests])
    assert 0.92 <= covered <= 0.98


def test_a_stretched_bootstrap_is_wider_and_less_sure():
    samples = np.random.default_rng(0).normal(0.1, 0.05, 2000)
    plain = paired_bootstrap(0.1, samples, 100)
    wide = paired_bootstrap(0.1, samples, 100, stretch=1.5)
    assert wide.low - 0.1 == pytest.approx(1.5 * (plain.low - 0.1))
    assert wide.high - 0.1 == pytest.approx(1.5 * (plain.high - 0.1))
    assert wide.p > plain.p


def test_with_groups_the_cluster_bootstrap_holds_its_level_and_mcnemar_does_not():
    """40 groups of six images that mostly go the same way; neither classifier is better."""
    rng = np.random.default_rng(0)
    groups, size, n_draws = 40, 6, 300
    draws = np.concatenate(list(draw_units(groups, 0)))
    coins = clusters = 0
    for _ in range(n_draws):
        way = rng.choice([1, -1, 0], p=[0.2, 0.2, 0.6], size=groups)
        differs = np.where(rng.random((groups, size)) < 0.8, way[:, None], 0)
        samples = draws @ differs.sum(axis=1) / differs.size
        clusters += paired_bootstrap(differs.mean(), samples, groups).p < 0.05
        coins += mcnemar(int((differs == 1).sum()), int((differs == -1).sum())) < 0.05
    assert clusters / n_draws < 0.09
    assert coins / n_draws > 0.25
