"""Intervals have the textbook's bounds where there are any, and cover what they promise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from experiments.evaluate import evaluate
from experiments.intervals import (
    Bounds,
    MeanSample,
    clustered_error,
    difference_interval,
    envelope_interval,
    mean_sample,
    normal_interval,
    wilson_ess_interval,
    wilson_interval,
)
from experiments.logs import LoggedDecisions
from experiments.targets import uniform_target
from experiments.weights import effective_conversions, effective_size

MakeLog = Callable[..., LoggedDecisions]


def test_wilson_has_the_published_bounds() -> None:
    """Newcombe, Statistics in Medicine 1998, table I: 81 of 263, and 0 of 20."""
    low, high = wilson_interval(81 / 263, 263, 0.95)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    low, high = wilson_interval(0.0, 20, 0.95)
    assert (low, round(high, 4)) == (0.0, 0.1611)
    assert wilson_interval(0.0, 0.0, 0.95) == (0.0, 1.0)


def test_the_parts_of_a_signed_reward_are_joined_as_newcombe_does() -> None:
    """With gains or losses alone, and equal weights, it is Wilson's interval itself."""
    rewards = np.repeat([1.0, 0.0], [81, 182])
    plain = wilson_interval(81 / 263, 263, 0.95)
    weights = np.ones(263)
    gain = wilson_ess_interval(weights, rewards, 0.95, reward_range=Bounds(0.0, 1.0))
    loss = wilson_ess_interval(weights, -rewards, 0.95, reward_range=Bounds(-1.0, 0.0))
    np.testing.assert_allclose(gain, plain)
    np.testing.assert_allclose(loss, (-plain.high, -plain.low))


def test_it_scales_with_the_currency() -> None:
    rng = np.random.default_rng(0)
    weights, rewards = rng.random(200), rng.choice([-20.0, 0.0, 80.0], 200)
    euros = wilson_ess_interval(weights, rewards, 0.95, reward_range=Bounds(-20.0, 80.0))
    cents = wilson_ess_interval(weights, rewards * 100, 0.95, reward_range=Bounds(-2e3, 8e3))
    np.testing.assert_allclose(np.array(cents), np.array(euros) * 100)


def test_without_a_single_conversion_the_range_still_speaks() -> None:
    weights, nothing = np.ones(100), np.zeros(100)
    bounds = wilson_ess_interval(weights, nothing, 0.95, reward_range=Bounds(0.0, 80.0))
    assert bounds.low == 0.0
    assert bounds.high == pytest.approx(80 * 0.03699, rel=1e-3)


def test_dependence_within_customers_widens() -> None:
    weights, rewards = np.ones(100), np.repeat([0.0, 80.0], [90, 10])
    limits = Bounds(0.0, 80.0)
    one = wilson_ess_interval(weights, rewards, 0.95, reward_range=limits)
    two = wilson_ess_interval(weights, rewards, 0.95, reward_range=limits, design_effect=2.0)
    assert two.low < one.low < one.high < two.high


def test_the_envelope_holds_both() -> None:
    weights, rewards = np.ones(100), np.repeat([0.0, 80.0], [97, 3])
    limits = Bounds(0.0, 80.0)
    envelope = envelope_interval(2.0, 1.5, weights, rewards, 0.95, reward_range=limits)
    wilson = wilson_ess_interval(weights, rewards, 0.95, reward_range=limits)
    normal = normal_interval(2.0, 1.5, 0.95)
    assert envelope == (min(wilson.low, normal.low), max(wilson.high, normal.high))
    assert normal.low < wilson.low < normal.high < wilson.high


def test_errors_respect_customers() -> None:
    rng = np.random.default_rng(1)
    terms = rng.normal(size=50)
    alone = np.array([f"c{i}" for i in range(50)], dtype=object)
    usual = terms.std(ddof=1) / np.sqrt(50)
    assert clustered_error(terms, alone) == pytest.approx(usual)
    twice = clustered_error(np.repeat(terms, 2), np.repeat(alone, 2))
    assert twice == pytest.approx(usual)  # the same rows again tell nothing new
    with pytest.raises(ValueError, match="two customers, got 1"):
        clustered_error(terms, np.full(50, "c", dtype=object))


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_outside_its_range_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="expected a level between 0 and 1"):
        normal_interval(0.0, 1.0, level)


def test_effective_numbers() -> None:
    assert effective_size(np.zeros(3)) == 0.0
    assert effective_size(np.array([3.0, 3.0])) == 2.0
    assert effective_conversions(np.ones(4), np.array([80.0, -80.0, 0.0, 0.0])) == 2.0


def test_many_conversions_give_welchs_interval() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.normal(3, 1, 4_000), rng.normal(1, 2, 4_000)
    plenty = np.ones(4_000)
    low, high = difference_interval(mean_sample(one, plenty), mean_sample(other, plenty), 0.95)
    reach = 1.96 * np.sqrt(one.var(ddof=1) / 4_000 + other.var(ddof=1) / 4_000)
    np.testing.assert_allclose((low, high), one.mean() - other.mean() + np.array([-1, 1]) * reach,
                               rtol=1e-3)  # fmt: skip


def test_few_conversions_widen_the_interval() -> None:
    totals = np.zeros(1_000)
    totals[:5] = 80.0
    sample = mean_sample(totals, totals)
    assert (sample.df, sample.conversions) == (4.0, 5.0)
    low, high = sample.interval(0.95)
    assert (high - low) / (2 * np.sqrt(sample.variance)) == pytest.approx(2.776, abs=1e-3)


def test_a_group_without_conversions_takes_the_variance_of_all() -> None:
    nothing = np.zeros(100)
    assert mean_sample(nothing, nothing).variance == 0.0
    assert mean_sample(nothing, nothing, 64.0).variance == pytest.approx(0.64)
    still = MeanSample(1.0, 0.0, 1.0, 0.0)
    assert difference_interval(still, still, 0.95) == (0.0, 0.0)
    with pytest.raises(ValueError, match="two customers in a group, got 1"):
        mean_sample(np.zeros(1), np.zeros(1))


@pytest.mark.parametrize(("base", "seed"), [(0.03, 0), (0.01, 10_000)])
def test_the_envelope_covers(market: Any, make_log: MakeLog, base: float, seed: int) -> None:
    """200 logs of 1,000 decisions; a nominal 95% must cover at least 93%.

    The standard error of a coverage of .95 from 200 logs is .015; measured here .97 to .99.
    """
    thin = type(market)(base=base)
    rng = np.random.default_rng(99)
    x, allowed = thin.contexts(200_000, rng), thin.allowed(200_000, rng)
    uniform = allowed / allowed.sum(axis=1, keepdims=True)
    truths = [mean(thin.best(x, allowed), thin, x), mean(uniform, thin, x)]
    hits = np.zeros((2, 2))
    for number in range(200):
        log = make_log(1_000, seed + number, market=thin)
        for row, target in enumerate((thin.best(thin.read(log), log.allowed), uniform_target(log))):
            found = evaluate(log, target, reward_range=Bounds(-21.56, 80.0)).estimates
            hits[row] += [e.low <= truths[row] <= e.high for e in found]
    assert np.all(hits / 200 >= 0.93)


def mean(target: NDArray[np.float64], market: Any, x: NDArray[np.float64]) -> float:
    return float((target * market.means(x)).sum(axis=1).mean())


def test_the_lift_interval_covers() -> None:
    """Sparse outcomes, costs and few customers; measured .95 to .99 over 400 draws."""
    rng, hits = np.random.default_rng(3), 0
    for _ in range(400):
        samples = []
        for customers, rate in ((600, 0.04), (200, 0.02)):
            outcomes = np.asarray(80.0 * rng.poisson(rate, customers), dtype=np.float64)
            totals = np.asarray(outcomes - 0.5 * rng.poisson(2.0, customers), dtype=np.float64)
            samples.append((totals, outcomes))
        everyone = float(np.var(np.concatenate([t for t, _ in samples]), ddof=1))
        one, other = (mean_sample(t, o, everyone) for t, o in samples)
        low, high = difference_interval(one, other, 0.95)
        hits += low <= 80.0 * 0.02 <= high
    assert hits / 400 >= 0.93
