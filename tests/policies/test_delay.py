from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.teaching.delay import AGES, KNOWN, Curve, age_of, due_at, passed

START = datetime(2026, 3, 2, tzinfo=UTC)
WINDOW = timedelta(days=10)


def learned(delays: np.ndarray, decided: np.ndarray, now: float) -> Curve:
    """Tell a curve what is known at an instant: ages and delays in windows."""
    curve = Curve()
    for delay, start in zip(delays, decided, strict=True):
        if start + delay > now:
            continue  # not heard of yet
        bucket = int(np.searchsorted(AGES, delay))
        for age in range(bucket, len(AGES)):
            if start + AGES[age] <= now:
                curve.observe(bucket, age)
        curve.hear(position=0)
    return curve


def test_ages_of_a_decision() -> None:
    assert [due_at(START, WINDOW, k) - START for k in range(4)] == [
        timedelta(days=1), timedelta(days=2.5), timedelta(days=5), timedelta(days=10)
    ]  # fmt: skip
    assert age_of(START, WINDOW, START) == 0
    assert age_of(START, WINDOW, START + timedelta(days=1)) == 0
    assert age_of(START, WINDOW, START + timedelta(days=1, microseconds=1)) == 1
    assert age_of(START, WINDOW, START + timedelta(days=30)) == 3
    assert [passed(START, WINDOW, START + timedelta(days=d)) for d in (0, 1, 4, 10)] == [0, 1, 2, 4]


def test_truncation_is_corrected() -> None:
    """Half of the decisions are younger than the window; delays are exponential within it.

    The share of short delays among all that is known is far too high; the curve is within four
    standard errors of the truth, and the naive one is not.
    """
    rng = np.random.default_rng(7)
    count, now = 6_000, 1.5
    delays = -0.5 * np.log(1.0 - rng.random(count) * (1.0 - np.exp(-2.0)))
    decided = rng.uniform(0.0, now, count)
    truth = (1.0 - np.exp(-2.0 * np.array(AGES))) / (1.0 - np.exp(-2.0))
    curve = Curve()
    curve = learned(delays, decided, now)
    heard = delays[decided + delays <= now]
    naive = np.array([np.mean(heard <= age) for age in AGES])
    tolerance = 4.0 * np.sqrt(truth * (1.0 - truth) / curve.inside[-1])
    assert np.all(np.abs(np.array(curve.fit()) - truth) <= tolerance)
    assert naive[1] - truth[1] > tolerance[1]


def test_it_is_known_after_fifty() -> None:
    curve = Curve()
    for _ in range(KNOWN - 1):
        curve.hear(position=1)
    for age in range(4):
        for _ in range(50):
            curve.observe(0, age)
    assert curve.weights(10**9) is None
    curve.hear(position=17)
    assert curve.weights(16) is None
    assert curve.weights(17) == (1.0, 0.0, 0.0, 0.0)


def test_while_no_window_has_ended_nothing_is_left_for_its_last_stretch() -> None:
    young = Curve()
    for number in range(2 * KNOWN):
        for age in range(number % 2, 2):
            young.observe(number % 2, age)
        young.hear(position=1)
    assert young.weights(2) == (0.5, 0.5, 0.0, 0.0)


def test_a_version_is_kept_only_where_the_curve_has_moved() -> None:
    curve = Curve()
    for number in range(3_000):
        delay = 0 if number < 1_000 else 3
        for age in range(delay, 4):
            curve.observe(delay, age)
        curve.hear(position=number)
    assert 2 < len(curve.versions) < 30
    steps = np.array([values for _, values in curve.versions])
    assert np.all(np.abs(np.diff(steps, axis=0)).max(axis=1) > 0.02)
    assert curve.weights(900) == (1.0, 0.0, 0.0, 0.0)


def test_what_is_old_is_forgotten() -> None:
    curve = Curve()
    for number in range(12_000):
        delay = 0 if number < 6_000 else 3
        for age in range(delay, 4):
            curve.observe(delay, age)
    assert curve.inside[-1] < 2_000
    assert curve.fit()[0] < 0.1  # of all 12,000 half came early


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=80))
def test_weights_are_shares_that_add_up_to_one(seen: list[tuple[int, int]]) -> None:
    curve = Curve()
    for delay, reached in seen:
        for age in range(delay, reached + 1):
            curve.observe(delay, age)
    curve.versions.append((3, curve.fit()))
    weights = curve.weights(3)
    assert weights is not None
    assert min(weights) >= 0.0
    for order in (weights, weights[::-1]):
        assert sum(order) == 1.0
    again = Curve.of(curve.facts())
    assert again.facts() == curve.facts()
    assert again.weights(3) == weights


@pytest.mark.parametrize("part", ["heard", "inside", "latest", "versions"])
def test_facts_that_lack_a_part_are_refused(part: str) -> None:
    facts = Curve().facts()
    del facts[part]
    with pytest.raises(KeyError):
        Curve.of(facts)
