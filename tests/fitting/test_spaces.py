"""What a head's parameters may be: drawing from it, and going past an end of a grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.fitting.candidates import check_params
from featx.heads import HEADS, Choice, Integer, Real


@pytest.mark.parametrize("name", HEADS.names())
def test_every_value_of_a_space_is_a_valid_setting(name):
    head = HEADS.get(name)
    generator = np.random.default_rng(0)
    for _ in range(50):
        params = {k: dimension.draw(generator) for k, dimension in head.space.items()}
        hash(tuple(params.items()))
        for parameter, dimension in head.space.items():
            if isinstance(dimension, Choice):
                assert params[parameter] in dimension.options
            else:
                assert dimension.low <= params[parameter] <= dimension.high
        built = head.build(None, 0).set_params(**params)
        assert params.items() <= built.get_params().items()
        check_params(name, params)  # raises for a value that the head does not take


@pytest.mark.parametrize("name", HEADS.names())
def test_default_values_lie_inside_the_space(name):
    head = HEADS.get(name)
    for parameter, dimension in head.space.items():
        values = head.param_grid.get(parameter, [])
        if isinstance(dimension, Choice):
            assert set(values) <= set(dimension.options)
            continue
        for value in values:
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                assert dimension.low <= value <= dimension.high


def test_draws_are_uniform_on_their_scale():
    generator = np.random.default_rng(0)

    def shares(dimension, edges):
        drawn = [dimension.draw(generator) for _ in range(4000)]
        return np.histogram(drawn, edges)[0] / 4000

    log = shares(Real(1e-3, 1e1, log=True), [1e-3, 1e-2, 1e-1, 1, 10])
    np.testing.assert_allclose(log, 0.25, atol=0.03)
    np.testing.assert_allclose(shares(Real(0.0, 1.0), [0, 0.25, 0.5, 0.75, 1]), 0.25, atol=0.03)
    np.testing.assert_allclose(shares(Integer(1, 4), [1, 2, 3, 4, 5]), 0.25, atol=0.03)
    few = shares(Integer(1, 100, log=True), [1, 10, 101])
    np.testing.assert_allclose(few, np.log([9.5 / 0.5, 100.5 / 9.5]) / np.log(201), atol=0.03)
    options = Choice([None, "a"])
    assert {options.draw(generator) for _ in range(50)} == {None, "a"}


@pytest.mark.parametrize(
    ("dimension", "end", "neighbour", "expected"),
    [
        (Real(1e-6, 1e2, log=True), 1.0, 0.1, 10.0),
        (Real(1e-6, 1e2, log=True), 1e-4, 1e-3, 1e-5),
        (Real(1e-6, 1e2, log=True), 1e2, 1e1, None),
        (Real(1e-4, 1.0, log=True), 0.9, 0.5, 1.0),
        (Real(0.0, 1.0), 0.5, 0.25, 0.75),
        (Real(0.0, 1.0), 0.0, 0.25, None),
        (Integer(1, 100, log=True), 30, 10, 90),
        (Integer(1, 100, log=True), 90, 30, 100),
        (Integer(1, 100, log=True), 1, 3, None),
        (Integer(1, 100, log=True), 11, 10, 12),
    ],
)
def test_past_an_end_is_as_far_again_within_the_space(dimension, end, neighbour, expected):
    assert dimension.beyond(end, neighbour) == expected


@given(st.integers(1, 50), st.integers(1, 50), st.booleans(), st.booleans())
def test_past_an_end_never_turns_back_or_leaves(low, width, log, whole):
    kind = Integer if whole else Real
    dimension = kind(low, low + width, log)
    end, neighbour = low + width // 2, low
    if end == neighbour:
        return
    for _ in range(60):
        beyond = dimension.beyond(end, neighbour)
        if beyond is None:
            break
        assert end < beyond <= dimension.high
        end, neighbour = beyond, end
    else:
        raise AssertionError("it never ended")
