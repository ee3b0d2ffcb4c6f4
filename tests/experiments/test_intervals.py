"""Intervals have the textbook's bounds where there are any, and cover what they promise."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.errors import LogError
from experiments.estimators import Pieces
from experiments.evaluate import evaluate
from experiments.intervals import (
    INTERVALS,
    Bounds,
    MeanSample,
    Sample,
    difference_interval,
    mean_sample,
    wilson_interval,
)
from experiments.intervals.base import t_quantile
from experiments.logs import LoggedDecisions
from experiments.tally import Tally, clusters_of
from experiments.targets import uniform_target
from experiments.weights import effective_conversions, effective_size

MakeLog = Callable[..., LoggedDecisions]
Floats = NDArray[np.float64]
WILSON = INTERVALS["wilson"]


def of(
    weights: Floats, rewards: Floats, limits: Bounds, *, design_effect: float = 1.0,
    value: float = 0.0, stderr: float = 1.0, conversions: float = math.inf,
) -> Sample:  # fmt: skip
    """Sum up weighted rewards as an evaluation does."""
    total = float(weights.sum())
    gain, loss = (float(weights @ np.maximum(sign * rewards, 0.0)) / total for sign in (1, -1))
    return Sample(
        len(weights), value, stderr, design_effect, effective_size(weights), gain, loss, limits,
        float(weights.max()), conversions=conversions,
    )  # fmt: skip


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
    gain = WILSON.bounds(of(weights, rewards, Bounds(0.0, 1.0)), 0.95)
    loss = WILSON.bounds(of(weights, -rewards, Bounds(-1.0, 0.0)), 0.95)
    np.testing.assert_allclose(gain, plain)
    np.testing.assert_allclose(loss, (-plain.high, -plain.low))


def test_without_a_single_conversion_the_range_still_speaks() -> None:
    weights, nothing = np.ones(100), np.zeros(100)
    bounds = WILSON.bounds(of(weights, nothing, Bounds(0.0, 80.0)), 0.95)
    assert bounds.low == 0.0
    assert bounds.high == pytest.approx(80 * 0.03699, rel=1e-3)


def test_dependence_within_customers_widens() -> None:
    weights, rewards = np.ones(100), np.repeat([0.0, 80.0], [90, 10])
    limits = Bounds(0.0, 80.0)
    one = WILSON.bounds(of(weights, rewards, limits), 0.95)
    two = WILSON.bounds(of(weights, rewards, limits, design_effect=2.0), 0.95)
    assert two.low < one.low < one.high < two.high


def test_the_envelope_holds_both() -> None:
    """Student's part is wider than the normal interval, and ends where rewards do."""
    weights, rewards = np.ones(100), np.repeat([0.0, 80.0], [97, 3])
    sample = of(weights, rewards, Bounds(0.0, 80.0), value=2.0, stderr=1.5)
    envelope, wilson = (INTERVALS[name].bounds(sample, 0.95) for name in ("envelope", "wilson"))
    reach = t_quantile(0.95, 9.0) * 1.5  # (gain / stderr)^2 is below ten
    assert envelope == (0.0, wilson.high)
    assert 2.0 - reach < 0.0 < wilson.low < 2.0 + reach < wilson.high
    sure = replace(sample, stderr=0.3)  # (2.4 / 0.3)^2 is 64 conversions
    wide = replace(sure, reward_range=Bounds(0.0, 2.4), ess=1e6)
    assert INTERVALS["envelope"].bounds(wide, 0.95).low == 2.0 - t_quantile(0.95, 63.0) * 0.3


def test_errors_respect_customers() -> None:
    rng = np.random.default_rng(1)
    terms = rng.normal(size=50)
    alone = np.array([f"c{i}" for i in range(50)], dtype=object)
    usual = terms.std(ddof=1) / np.sqrt(50)
    assert clustered_error(terms, alone) == pytest.approx(usual)
    twice = clustered_error(np.repeat(terms, 2), np.repeat(alone, 2))
    assert twice == pytest.approx(usual)  # the same rows again tell nothing new
    with pytest.raises(LogError, match="two customers, got 1"):
        clustered_error(terms, np.full(50, "c", dtype=object))


def clustered_error(terms: Floats, customers: NDArray[np.object_]) -> float:
    return Tally.of(Pieces(terms), *clusters_of(customers)).stderr


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_outside_its_range_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="expected a level between 0 and 1"):
        INTERVALS["normal"].bounds(of(np.ones(3), np.ones(3), Bounds(0.0, 1.0)), level)


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
    """100 logs of 1,000 decisions; a nominal 95% must cover at least 95%.

    The envelope is wider than promised: measured here .98 to 1.00, with a standard error of .014 at
    most. The normal interval covers .90 to .95 of the same logs, and fails in both markets.
    """
    thin = type(market)(base=base)
    rng = np.random.default_rng(99)
    x, allowed = thin.contexts(200_000, rng), thin.allowed(200_000, rng)
    uniform = allowed / allowed.sum(axis=1, keepdims=True)
    truths = [mean(thin.best(x, allowed), thin, x), mean(uniform, thin, x)]
    hits = np.zeros((2, 2))
    for number in range(100):
        log = make_log(1_000, seed + number, market=thin)
        for row, target in enumerate((thin.best(thin.read(log), log.allowed), uniform_target(log))):
            found = evaluate(log, target, reward_range=Bounds(-21.56, 80.0)).estimates
            hits[row] += [e.low <= truths[row] <= e.high for e in found]
    assert np.all(hits / 100 >= 0.95)


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


def test_the_cost_of_each_contact_is_no_conversion() -> None:
    """Ten conversions of 80 among 1,000 contacts of 5 each: t has 9 degrees of freedom."""
    rewards = np.repeat([75.0, -5.0], [10, 990])
    error = float(rewards.std(ddof=1)) / math.sqrt(1_000.0)
    counted = of(
        np.ones(1_000), rewards, Bounds(-100.0, 100.0), value=float(rewards.mean()), stderr=error,
        conversions=10.0,
    )  # fmt: skip
    low, high = INTERVALS["envelope"].bounds(counted, 0.95)
    assert high - low >= 2.0 * t_quantile(0.95, 9.0) * error * (1.0 - 1e-12)
