"""The bootstrap, empirical likelihood, Bernstein's and betting bounds, beside what is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize

from agents.errors import LogError, UnknownNameError
from experiments.intervals import INTERVALS, Bounds, Rows, Sample, find_interval
from experiments.intervals.grouped import group

Floats = NDArray[np.float64]


def plain(
    rewards: Floats, weights: Floats | None = None, *, limit: float = 1.0, top: float = 1.0
) -> Sample:
    """Sum up rewards in [0, top] of customers who come once each; the estimator is IPS."""
    n = len(rewards)
    w = np.ones(n) if weights is None else weights
    terms = w * rewards
    return Sample(
        n, float(terms.mean()), float(terms.std(ddof=1)) / np.sqrt(n), 1.0,
        float(w.sum() ** 2 / (w @ w)), float(w @ rewards / w.sum()), 0.0, Bounds(0.0, top), limit,
        Rows(terms, w, rewards, np.arange(n)),
    )  # fmt: skip


def test_the_bootstrap_and_likelihood_agree_with_the_normal_where_it_is_right() -> None:
    rewards = np.clip(np.random.default_rng(1).normal(0.5, 0.1, 4_000), 0.0, 1.0)
    normal = INTERVALS["normal"].bounds(plain(rewards), 0.95)
    width = normal.high - normal.low
    for name, slack in (("bootstrap", 0.06), ("likelihood", 0.01)):
        found = INTERVALS[name].bounds(plain(rewards), 0.95)
        np.testing.assert_allclose(found, normal, atol=slack * width)


def test_likelihood_of_a_share_is_the_binomial_one() -> None:
    """For shares empirical likelihood is the binomial likelihood ratio (Owen 2001, section 2.3)."""
    n, k = 200, 20
    share = k / n

    def excess(p: float) -> float:
        gone = k * np.log(share / p) + (n - k) * np.log((1.0 - share) / (1.0 - p))
        return 2.0 * float(gone) - 3.841458820694124

    expected = optimize.brentq(excess, 1e-6, share), optimize.brentq(excess, share, 0.9)
    found = INTERVALS["likelihood"].bounds(plain(np.repeat([1.0, 0.0], [k, n - k])), 0.95)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_likelihood_uses_that_the_mean_weight_is_one() -> None:
    """Where every reward is 1, w r is w, whose mean is known; nothing is left to doubt."""
    weights = np.random.default_rng(2).gamma(1.0, 1.0, 500)
    sample = plain(np.ones(500), weights, limit=10.0)
    low, high = INTERVALS["likelihood"].bounds(replace(sample, value=1.0), 0.95)
    assert high - low < 1e-2 * 2 * 1.96 * sample.stderr
    assert (low + high) / 2 == pytest.approx(1.0, abs=1e-3)


def test_bernstein_is_the_papers_formula() -> None:
    rewards = np.repeat([1.0, 0.0], [500, 500])
    heavy = np.log(4.0 / 0.05)
    reach = np.sqrt(2.0 * np.var(rewards, ddof=1) * heavy / 1_000) + 7.0 * heavy / (3.0 * 999)
    found = INTERVALS["bernstein"].bounds(plain(rewards), 0.95)
    np.testing.assert_allclose(found, (0.5 - reach, 0.5 + reach))


def test_betting_needs_no_greatest_weight_for_its_lower_bound() -> None:
    rng = np.random.default_rng(3)
    rewards = (rng.random(5_000) < 0.1).astype(np.float64)
    weights = np.where(rng.random(5_000) < 0.1, 10.0, 0.0)
    near, far = (
        INTERVALS["betting"].bounds(plain(rewards, weights, limit=limit), 0.95)
        for limit in (10.0, 1e6)
    )
    assert near.low == far.low > 0.04
    assert 0.1 < near.high < far.high < 1.0


def test_betting_covers_at_every_look_where_the_normal_interval_does_not() -> None:
    """40 streams, looked at 8 times each; a promise of 95% at all looks together."""
    rng = np.random.default_rng(4)
    held = {"betting": 0, "normal": 0}
    for _ in range(40):
        rewards = (rng.random(400) < 0.3).astype(np.float64)
        for name in held:
            found = [INTERVALS[name].bounds(plain(rewards[:n]), 0.95) for n in range(50, 401, 50)]
            held[name] += all(low <= 0.3 <= high for low, high in found)
    assert held["betting"] >= 0.95 * 40 - 2 * 1.4  # two standard errors
    assert held["normal"] <= 0.95 * 40 - 2 * 1.4


def test_the_sequence_says_nothing_before_thirty_conversions() -> None:
    asymptotic = INTERVALS["asymptotic"]
    few = plain(np.repeat([80.0, 0.0], [29, 971]), top=80.0)
    assert asymptotic.bounds(few, 0.95) == (0.0, 80.0)
    enough = asymptotic.bounds(plain(np.repeat([80.0, 0.0], [30, 970]), top=80.0), 0.95)
    normal = INTERVALS["normal"].bounds(plain(np.repeat([80.0, 0.0], [30, 970])), 0.95)
    assert enough.low < normal.low < normal.high < enough.high < 80.0


def test_groups_hold_whole_customers() -> None:
    rng = np.random.default_rng(5)
    clusters = rng.integers(0, 5_000, 9_000)
    rows = Rows(rng.random(9_000), rng.random(9_000), rng.random(9_000), clusters)
    one, all_ = group(rows), group(rows, None)
    assert len(one) <= 4_096 < len(all_) == len(np.unique(clusters))
    for left, right in ((one.terms, all_.terms), (one.gains, all_.gains)):
        assert left.sum() == pytest.approx(right.sum())
    with pytest.raises(LogError, match="at least two customers, got 1"):
        group(Rows(np.ones(3), np.ones(3), np.ones(3), np.full(3, 7)))


def test_a_streamed_log_is_refused_by_name() -> None:
    sums = replace(plain(np.ones(10)), rows=None)
    with pytest.raises(LogError, match="interval 'bootstrap' expects each decision"):
        INTERVALS["bootstrap"].bounds(sums, 0.95)
    with pytest.raises(UnknownNameError, match="there is no interval 'beting'.*betting"):
        find_interval("beting")
