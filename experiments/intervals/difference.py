"""Means and differences of means, for groups of customers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.intervals.base import Bounds, t_quantile
from experiments.weights import effective_conversions

_FEW = 10.0


@dataclass(frozen=True, slots=True)
class MeanSample:
    """A mean over customers, with an honest idea of how well its variance is known.

    A sample variance of sparse amounts is itself noisy: its degrees of freedom are about twice the
    number of conversions, not the number of customers. So `df` is the effective conversions less
    one, at most the customers less one, and Student's t widens the interval accordingly.

    Args:
        mean: per customer.
        variance: of the mean.
        df: degrees of freedom of the variance, >= 1.
        conversions: effective conversions, see `experiments.weights`.
    """

    mean: float
    variance: float
    df: float
    conversions: float

    def interval(self, level: float) -> Bounds:
        """Return mean -+ t sqrt(variance)."""
        reach = t_quantile(level, self.df) * math.sqrt(self.variance)
        return Bounds(self.mean - reach, self.mean + reach)


def mean_sample(
    totals: NDArray[np.float64], outcomes: NDArray[np.float64], everyone: float = 0.0
) -> MeanSample:
    """Summarise the totals of the customers of one group.

    Args:
        totals: (C,) one total a customer, zeros included.
        outcomes: (C,) the same before costs, from which conversions are counted.
        everyone: variance of the totals over all groups. A group with fewer than 10 effective
            conversions cannot know its own variance (with none at all it would seem to be that of
            the costs), so it takes this one if it is greater.

    Raises:
        ValueError: fewer than two customers.
    """
    count = len(totals)
    if count < 2:
        raise ValueError(f"expected at least two customers in a group, got {count}")
    conversions = effective_conversions(np.ones(count), outcomes)
    return summed_sample(
        count, float(np.mean(totals)), float(np.var(totals, ddof=1)), conversions, everyone
    )


def summed_sample(
    count: int, mean: float, variance: float, conversions: float, everyone: float = 0.0
) -> MeanSample:
    """Summarise the totals of a group's customers, of which only sums are known.

    Args:
        count: customers, at least two.
        mean: of their totals.
        variance: of their totals, count - 1 below the line.
        conversions: effective ones.
        everyone: as of `mean_sample`.
    """
    if conversions < _FEW:
        variance = max(variance, everyone)
    df = max(1.0, min(float(count), conversions) - 1.0)
    return MeanSample(mean, variance / count, df, conversions)


def difference_interval(one: MeanSample, other: MeanSample, level: float) -> Bounds:
    """Return Welch's interval for the difference of two means, one - other.

    Degrees of freedom are Satterthwaite's, v^2 / sum(v_g^2 / df_g) with v = sum v_g.

    Source: Welch, Biometrika 1947; Satterthwaite, Biometrics Bulletin 1946.

    Example:
        >>> one = MeanSample(3.0, 0.5, 20.0, 21.0)
        >>> low, high = difference_interval(one, MeanSample(1.0, 0.5, 20.0, 21.0), 0.95)
        >>> round(low, 2), round(high, 2)
        (-0.02, 4.02)
    """
    variance = one.variance + other.variance
    value = one.mean - other.mean
    if variance == 0.0:
        return Bounds(value, value)
    df = variance**2 / (one.variance**2 / one.df + other.variance**2 / other.df)
    reach = t_quantile(level, df) * math.sqrt(variance)
    return Bounds(value - reach, value + reach)
