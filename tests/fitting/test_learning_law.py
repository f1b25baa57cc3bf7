"""The power law of learning curves: recovered where planted, silent where nothing can be told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.stats.learning import Curve, describe_growth, draw_noise, fit_power_law

SIZES = 1000 / 2.0 ** np.arange(5, -1, -1)


def planted(a: float, b: float, c: float, n: np.ndarray | float) -> np.ndarray:
    return np.asarray(a + b * np.asarray(n, float) ** -c)


def measured(
    truth: np.ndarray, rng: np.random.Generator, *, n_images: int, n_resamples: int = 300
) -> Curve:
    """A curve judged on common images, as a fit would measure it, with its bootstrap."""
    own, common = rng.random((n_images, len(truth))), rng.random(n_images)
    difficulty = np.where(rng.random(n_images)[:, None] < 0.7, common[:, None], own)
    right = (difficulty > truth).astype(float)
    times = rng.multinomial(n_images, np.full(n_images, 1 / n_images), size=n_resamples)
    return Curve(SIZES, right.mean(axis=0), times @ right / n_images, 1.0, n_images, 1.0)


@given(a=st.floats(0, 0.4), b=st.floats(0.3, 3), c=st.floats(0.1, 1.5))
@settings(max_examples=60)
def test_a_planted_law_is_recovered(a: float, b: float, c: float) -> None:
    law = fit_power_law(SIZES, planted(a, b, c, SIZES)[None])
    for n in (1000, 2000, 4000):
        assert law.error(n)[0] == pytest.approx(planted(a, b, c, n), abs=2e-4)


def test_each_curve_of_several_is_fitted_by_itself() -> None:
    errors = np.stack([planted(0.1, 1, 0.5, SIZES), planted(0.0, 0.5, 0.2, SIZES)])
    both = fit_power_law(SIZES, errors)
    for i in range(2):
        alone = fit_power_law(SIZES, errors[i : i + 1])
        assert [both.a[i], both.b[i], both.c[i]] == [alone.a[0], alone.b[0], alone.c[0]]


def test_the_law_never_falls_below_no_error_nor_rises_with_more_images() -> None:
    errors = np.stack([0.2 - 0.03 * np.arange(6), 0.1 + 0.01 * np.arange(6)])  # to 0.05; upwards
    law = fit_power_law(SIZES, errors)
    assert (law.a >= 0).all()
    assert (law.b >= 0).all()
    assert law.error(1e9)[0] >= 0
    assert law.error(4000)[1] == pytest.approx(law.error(500)[1])


@pytest.mark.parametrize("law", [(0.05, 1.5, 0.5), (0.0, 0.8, 0.2), (0.15, 2.0, 0.8)])
def test_the_interval_of_a_doubling_covers_what_it_truly_adds(law: tuple) -> None:
    rng = np.random.default_rng(1)
    true = float(planted(*law, 1000) - planted(*law, 2000))
    covered = []
    for seed in range(80):
        curve = measured(planted(*law, SIZES), rng, n_images=600)
        ahead = describe_growth(curve, n_now=1000, seed=seed)["ahead"]
        if ahead:
            covered.append(ahead[1]["gain"]["low"] <= true <= ahead[1]["gain"]["high"])
    assert len(covered) > 70
    assert np.mean(covered) > 0.88  # 0.95 less three standard errors of 80 simulations


def test_nothing_is_foretold_of_a_curve_that_does_not_rise() -> None:
    rng = np.random.default_rng(2)
    told = [
        bool(
            describe_growth(measured(np.full(6, 0.2), rng, n_images=300), n_now=1000, seed=0)["law"]
        )
        for _ in range(60)
    ]
    assert np.mean(told) < 0.12  # one in forty by chance


def test_a_flat_curve_on_many_images_is_called_flat_as_measured() -> None:
    curve = measured(np.full(6, 0.1), np.random.default_rng(0), n_images=20000)
    found = describe_growth(curve, n_now=1200, seed=0)
    assert found["ahead"] == []
    assert found["verdict"] == "flat"
    assert "from 31 to 1,000 images trained on it does not rise clearly" in found["reason"]
    assert (found["last_doubling"]["from_images"], found["last_doubling"]["to_images"]) == (
        500,
        1000,
    )


def test_a_steep_curve_is_rising_and_a_doubling_adds_what_the_law_says() -> None:
    law = (0.0, 2.0, 0.4)
    curve = measured(planted(*law, SIZES), np.random.default_rng(0), n_images=4000)
    found = describe_growth(curve, n_now=1250, seed=0)
    assert found["verdict"] == "rising"
    assert found["reason"] is None
    assert [row["n_images"] for row in found["ahead"]] == [1250, 2500, 5000]
    assert found["ahead"][0]["gain"] is None
    true = float(planted(*law, 1250) - planted(*law, 2500))
    assert found["ahead"][1]["gain"]["value"] == pytest.approx(true, abs=0.01)
    assert found["ahead"][2]["gain"]["value"] > found["ahead"][1]["gain"]["value"]


def test_a_curve_of_another_shape_has_a_wider_interval() -> None:
    def width(errors: np.ndarray) -> float:
        samples = 1 - errors + np.random.default_rng(3).normal(0, 0.003, (400, 6))
        curve = Curve(SIZES, 1 - errors, samples, 1.0, 500, 1.0)
        gain = describe_growth(curve, n_now=1000, seed=0)["ahead"][1]["gain"]
        return gain["high"] - gain["low"]

    smooth = planted(0.05, 1.0, 0.4, SIZES)
    assert width(smooth + np.array([0, 0.02, -0.02, 0.02, -0.02, 0.0])) > 1.5 * width(smooth)


def test_no_error_is_flat_and_too_little_is_refused() -> None:
    perfect = Curve(SIZES, np.ones(6), np.ones((50, 6)), 1.0, 40, 1.0)
    assert describe_growth(perfect, n_now=1000, seed=0)["verdict"] == "flat"
    rng = np.random.default_rng(0)
    curve = measured(planted(0.0, 2.0, 0.4, SIZES), rng, n_images=500)
    few = Curve(SIZES[3:], curve.values[3:], curve.samples[:, 3:], 1.0, 500, 1.0)
    found = describe_growth(few, n_now=1000, seed=0)
    assert (found["verdict"], found["ahead"]) == ("unknown", [])
    assert found["reason"] == "the curve is defined at 3 sizes, and 4 are needed"
    narrow = Curve(SIZES[-1] + SIZES, curve.values, curve.samples, 1.0, 500, 1.0)
    assert "too narrow a range" in describe_growth(narrow, n_now=1000, seed=0)["reason"]
    undefined = Curve(SIZES, np.full(6, np.nan), curve.samples, 1.0, 500, 1.0)
    found = describe_growth(undefined, n_now=1000, seed=0)
    assert (found["rise"], found["last_doubling"], found["law"]) == (None, None, None)


def test_noise_of_draws_has_the_variance_of_their_mean() -> None:
    """Of D draws in each fold: the unbiased variance over D, averaged over folds."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(4, 3, 2))
    weights = np.array([[0.5, 0.2], [0.3, 0.2], [0.2, 0.6]])
    noise = draw_noise(scores, weights, 40000, seed=1)
    expected = (weights**2 * scores.var(axis=0, ddof=1) / 4).sum(axis=0)
    assert noise.var(axis=0) == pytest.approx(expected, rel=0.05)
    assert noise.mean(axis=0) == pytest.approx([0, 0], abs=0.01)
    assert not draw_noise(scores[:1], weights, 10, seed=1).any()
    scores[:, 1] = np.nan  # a fold without a score has no weight and no noise
    assert np.isfinite(draw_noise(scores, weights * [[1], [0], [1]], 10, seed=1)).all()
