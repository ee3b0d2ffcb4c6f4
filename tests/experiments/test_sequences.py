"""Confidence sequences hold at all looks at once; the sequential tests agree with them."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.intervals.asymptotic import (
    FIRST_LOOK,
    Sums,
    around,
    difference_sequence,
    evidence,
    mean_sequence,
    multiplier,
    tuned_rho,
)
from experiments.intervals.sequential import always_valid_p, msprt, msprt_sequence
from experiments.studies.peeking import MARKETS, lift_for, lines, refusals


def test_sums_stream_and_merge() -> None:
    values = np.random.default_rng(1).normal(2.0, 3.0, 500)
    whole = Sums.of(values)
    merged = Sums.of(values[:123]).add(Sums.of(values[123:]))
    running = Sums.running(values)
    for found in (whole, merged):
        assert float(found.mean) == pytest.approx(values.mean())
        assert float(found.variance) == pytest.approx(values.var(ddof=1))
    assert running.mean[122] == pytest.approx(values[:123].mean())
    assert np.isnan(running.variance[0])
    assert np.isnan(Sums.of(np.zeros(0)).mean)


def test_the_multiplier_by_hand_and_where_it_is_least() -> None:
    rho = tuned_rho(10_000.0)
    n = np.array([10.0, 1_000.0, 10_000.0, 100_000.0])
    g = n * rho**2
    by_hand = np.sqrt(2.0 * (g + 1.0) / g * np.log(np.sqrt(g + 1.0) / 0.05))
    assert multiplier(n, rho) == pytest.approx(by_hand)
    grid = np.geomspace(1e2, 1e6, 4_001)
    width = multiplier(10_000.0, tuned_rho(10_000.0))
    others = [float(multiplier(10_000.0, tuned_rho(target))) for target in grid]
    assert float(width) <= min(others) * 1.001  # tuned for n it is narrowest at n
    assert np.all(multiplier(n, rho, sides=1) < multiplier(n, rho))
    assert np.isinf(multiplier(0.0, rho))


@pytest.mark.parametrize(("target", "level"), [(0.0, 0.95), (float("inf"), 0.95), (10.0, 1.0)])
def test_a_sequence_without_sense_is_refused(target: float, level: float) -> None:
    with pytest.raises(ValueError, match="expected a"):
        tuned_rho(target, level)


@pytest.mark.parametrize("sides", [1, 2])
def test_means_are_covered_at_all_looks_at_once(sides: int) -> None:
    rng = np.random.default_rng(2)
    values = rng.exponential(1.0, (800, 3_000))  # (R, N), mean 1
    band = mean_sequence(Sums.running(values), rho=tuned_rho(3_000.0), sides=1 if sides == 1 else 2)
    later = slice(50, None)
    below = (band.low[:, later] > 1.0).any(axis=1)
    above = (band.high[:, later] < 1.0).any(axis=1)
    misses = below.mean() if sides == 1 else (below | above).mean()
    assert misses <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 800)
    assert misses > 0.0  # it is no wider than it has to be


def test_differences_are_covered_at_all_looks_at_once() -> None:
    rng = np.random.default_rng(3)
    one, other = (
        Sums.running(rng.normal(mean, sd, (600, 2_000))) for mean, sd in ((0.3, 1.0), (0.0, 2.0))
    )
    band = difference_sequence(one, other, rho=tuned_rho(4_000.0))
    outside = ((band.low > 0.3) | (band.high < 0.3))[:, 30:].any(axis=1)
    assert outside.mean() <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 600)
    assert (band.low[:, -1] > 0.0).mean() > 0.9  # and it finds the difference


def test_evidence_exceeds_its_bound_where_the_sequence_leaves_zero_out() -> None:
    rho = tuned_rho(500.0)
    z, n = np.linspace(-5.0, 5.0, 101), np.full(101, 700.0)
    band = around(z, np.ones(101), n, rho=rho)
    outside = (band.low > 0.0) | (band.high < 0.0)
    assert np.array_equal(evidence(z, n, rho) > 20.0, outside)
    assert 0 < outside.sum() < 101
    assert evidence(float("nan"), 10.0, rho) == 1.0
    unknown = around(1.0, float("nan"), 10.0, rho=rho)
    assert (float(unknown.low), float(unknown.high)) == (-np.inf, np.inf)


def test_msprt_refuses_exactly_what_its_sequence_leaves_out() -> None:
    value, error = np.linspace(-1.0, 1.0, 201), np.full(201, 0.2)
    band = msprt_sequence(value, error, 0.3)
    outside = (band.low > 0.0) | (band.high < 0.0)
    assert np.array_equal(msprt(value, error, 0.3) > 20.0, outside)
    assert msprt(1.0, np.nan, 0.3) == 1.0
    with pytest.raises(ValueError, match="tau above 0"):
        msprt(1.0, 0.1, 0.0)
    with pytest.raises(ValueError, match="level between 0 and 1"):
        msprt_sequence(1.0, 0.1, 0.3, 0.0)


def test_msprt_is_the_sequence_of_the_same_mixture() -> None:
    n, sd, tau = 400.0, 2.0, 0.1
    error = sd / np.sqrt(n)
    band = msprt_sequence(0.0, error, tau)
    assert float(band.high) == pytest.approx(float(multiplier(n, tau / sd)) * error)


def test_always_valid_p_values_only_fall() -> None:
    p = always_valid_p(np.array([[1.0, 30.0, 2.0], [0.1, 0.2, 5.0]]))
    assert p == pytest.approx(np.array([[1.0, 1 / 30, 1 / 30], [1.0, 1.0, 0.2]]))


@pytest.mark.parametrize("market", MARKETS, ids=lambda market: market.name)
def test_peeking_a_hundred_times_gives_few_false_alarms(market: object) -> None:
    """At most 5%, with two standard errors; the fixed test cries wolf several times as often."""
    chosen = next(each for each in MARKETS if each is market)
    experiments = (2_000, 2_000, 400, 60, 2_000)[MARKETS.index(chosen)]
    found = refusals(chosen, np.random.default_rng(5), experiments)
    error = np.sqrt(0.05 * 0.95 / experiments)
    assert found["mSPRT"] <= 0.05
    assert found["asymptotic"] <= 0.05 + (2 * error if experiments < 1_000 else 0.0)
    assert found["fixed, one look"] <= 0.05 + 4 * error
    assert found["fixed, 100 looks"] > 0.05 + 4 * error


def test_a_lift_is_found_in_spite_of_all_looks() -> None:
    market, rng = MARKETS[0], np.random.default_rng(6)
    lift = lift_for(market, rng)
    assert lift == pytest.approx(0.124, abs=0.01)
    found = refusals(market, rng, 1_000, lift)
    assert found["fixed, one look"] == pytest.approx(0.8, abs=0.06)
    assert 0.3 < found["asymptotic"] < found["fixed, 100 looks"]


def test_the_study_prints_every_market() -> None:
    said = list(lines(share=0.005))
    assert sum("asymptotic" in line for line in said) == len(MARKETS)
    assert FIRST_LOOK == 30.0
