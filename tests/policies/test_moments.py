from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.features.moments import Moments


def test_mean_and_spread_are_those_of_all_values() -> None:
    values = np.random.default_rng(0).normal(40.0, 3.0, 500)
    seen = Moments()
    for value in values.tolist():
        seen.add(value)
    assert seen.count == 500.0
    assert seen.mean == pytest.approx(values.mean())
    assert seen.scale == pytest.approx(1.0 / values.std())
    assert seen.standardise(41.0) == pytest.approx((41.0 - values.mean()) / values.std())


def test_a_state_goes_on_where_it_was_left() -> None:
    seen = Moments()
    for value in (1.0, 4.0, 2.5):
        seen.add(value)
    again = Moments(seen.count, seen.mean, seen.squares)
    for one in (seen, again):
        one.add(7.0)
    assert [getattr(again, n) for n in Moments.__slots__] == [
        getattr(seen, n) for n in Moments.__slots__
    ]


def test_five_standard_deviations_are_the_most() -> None:
    seen = Moments(2.0, 0.0, 2.0)
    assert [seen.standardise(v) for v in (-1e15, -5.0, 0.5, 5.0, 1e15)] == [-5, -5, 0.5, 5, 5]


@given(st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=6), st.floats(-1e15, 1e15))
def test_scores_are_finite_whatever_comes(values: list[float], value: float) -> None:
    """Also where the spread is so small that 1 / sd would overflow."""
    seen = Moments()
    for one in values:
        seen.add(one)
    assert math.isfinite(seen.scale)
    assert -5.0 <= seen.standardise(value) <= 5.0


def test_a_spread_too_small_to_divide_by_counts_as_none() -> None:
    seen = Moments()
    for value in (0.0, 1e-155):
        seen.add(value)
    assert seen.squares > 0.0
    assert seen.standardise(1.0) == 0.0
