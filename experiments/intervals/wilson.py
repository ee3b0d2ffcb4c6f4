"""Wilson's interval on the effective sample size."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from experiments.intervals.base import Bounds, normal_quantile
from experiments.weights import effective_size


def wilson_interval(share: float, trials: float, level: float) -> Bounds:
    """Return Wilson's score interval for a probability.

    Args:
        share: observed share of successes in [0, 1].
        trials: number of trials, not necessarily whole; with none the interval is [0, 1].
        level: nominal coverage in (0, 1).

    Source: Wilson, JASA 1927.

    Example:
        >>> low, high = wilson_interval(0.0, 100.0, 0.95)
        >>> low, round(high, 3)
        (0.0, 0.037)
    """
    if trials <= 0.0:
        return Bounds(0.0, 1.0)
    z2 = normal_quantile(level) ** 2
    centre = (share + z2 / (2.0 * trials)) / (1.0 + z2 / trials)
    spread = share * (1.0 - share) / trials + z2 / (4.0 * trials**2)
    reach = math.sqrt(z2 * spread) / (1.0 + z2 / trials)
    return Bounds(max(0.0, centre - reach), min(1.0, centre + reach))


def wilson_ess_interval(
    weights: NDArray[np.float64],
    rewards: NDArray[np.float64],
    level: float,
    *,
    reward_range: Bounds,
    design_effect: float = 1.0,
) -> Bounds:
    """Return an interval for sum w r / sum w from Wilson's on the effective sample size.

    A reward in [0, top], over top, is read as a share of one success in ESS trials. A reward that
    may be negative is split into gain and loss, each scaled by its own end of the range, and the
    two intervals are joined as Newcombe does for a difference: the distances from each estimate to
    its bounds are added in squares.

    This is a heuristic and no theorem: weights are not trials. With conversions of 1 to 3% and
    1,000 decisions it covers 95 to 98% at a nominal 95%. Scaling the whole range at once, costs
    and all, covered always but was two to four times as wide.

    Args:
        weights: (N,) >= 0.
        rewards: (N,) currency, inside `reward_range`.
        level: nominal coverage in (0, 1).
        reward_range: the least and the greatest reward a decision can have; 0 is added to it.
        design_effect: how many times the variance exceeds that of independent decisions, >= 1.

    Source: Wilson, JASA 1927; Newcombe, Statistics in Medicine 1998.
    """
    trials = effective_size(weights) / design_effect
    gain, most = _part(weights, np.maximum(rewards, 0.0), reward_range.high, trials, level)
    loss, worst = _part(weights, np.maximum(-rewards, 0.0), -reward_range.low, trials, level)
    value = gain - loss
    low = value - math.hypot(gain - most.low, worst.high - loss)
    high = value + math.hypot(most.high - gain, loss - worst.low)
    return Bounds(low, high)


def _part(
    weights: NDArray[np.float64],
    amounts: NDArray[np.float64],
    top: float,
    trials: float,
    level: float,
) -> tuple[float, Bounds]:
    """Return the weighted mean of amounts in [0, top], and its interval."""
    total = float(weights.sum())
    if top <= 0.0:
        return 0.0, Bounds(0.0, 0.0)
    mean = float(weights @ amounts) / total if total > 0.0 else 0.0
    low, high = wilson_interval(min(mean / top, 1.0), trials, level)
    return mean, Bounds(low * top, high * top)
