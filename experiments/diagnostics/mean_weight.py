"""The mean weight of one target, which must be what the propensities promise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.diagnostics.limits import LIMITS
from experiments.logs import LoggedDecisions
from experiments.weights import importance_weights

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MeanWeight:
    """A test of whether the weights of a target average to what they should.

    Args:
        value: mean of w.
        expected: share of the target's probability on actions that could be drawn; 1 if the log
            supports all of it.
        p: bound of the probability of a distance so great, if the propensities are true.
    """

    value: float
    expected: float
    p: float

    @property
    def passed(self) -> bool:
        """Whether the distance may be chance."""
        return self.p >= LIMITS.alarm


def mean_weights(log: LoggedDecisions, target: Floats) -> tuple[MeanWeight, MeanWeight, MeanWeight]:
    """Test the mean weight of the whole log, of its first half in time, and of its second.

    Given what was logged, weights are independent draws whose mean e = sum of the target over
    p > 0 and variance v = sum target^2 / p - e^2 are known. By Bernstein's inequality the sum S of
    w - e has P(|S| >= t) <= 2 exp(-t^2 / (2 (V + M t / 3))), with V = sum v and M the greatest
    weight that could have been drawn: it holds for a few great weights too. In a log of drawn
    probabilities alone, V and M are those that were seen.

    Args:
        log: N decisions.
        target: (N, A) probabilities.

    Source: Bernstein's inequality for martingales, Freedman, Annals of Probability 1975.
    """
    return WeightSums.of(log, target, middle_of(log.at)).tests(whole=log.whole)


@dataclass(frozen=True)
class WeightSums:
    """What the tests need of some decisions, by half; those of the parts of a log can be added.

    Args:
        sums: (5, 2) of 1, w, w^2, e and v over each half.
        great: (2, 2) the greatest weights that could have been drawn, and that were.
    """

    sums: Floats
    great: Floats

    @classmethod
    def of(cls, log: LoggedDecisions, target: Floats, middle: np.datetime64) -> WeightSums:
        """Add up some decisions; `middle` is the instant at which the second half begins."""
        p = log.distribution  # (N, A)
        ratio = np.divide(target, p, out=np.zeros_like(p), where=p > 0.0)  # (N, A)
        expected = np.einsum("na,na->n", ratio, p)  # (N,)
        variance = np.einsum("na,na->n", ratio, target) - expected**2  # (N,)
        weights = importance_weights(log, target)  # (N,)
        columns = np.stack([np.ones_like(weights), weights, weights**2, expected, variance])
        later = log.at >= middle  # (N,)
        halves = [np.flatnonzero(~later), np.flatnonzero(later)]
        return cls(
            np.stack([columns[:, rows].sum(axis=1) for rows in halves], axis=1),
            np.array([[_greatest(each, rows) for rows in halves] for each in (ratio, weights)]),
        )

    def __add__(self, other: WeightSums) -> WeightSums:
        return WeightSums(self.sums + other.sums, np.maximum(self.great, other.great))

    @property
    def possible(self) -> float:
        """The greatest weight that could have been drawn."""
        return float(self.great[0].max())

    def tests(self, *, whole: bool) -> tuple[MeanWeight, MeanWeight, MeanWeight]:
        """Return the tests of all decisions and of each half; see `mean_weights`."""
        every, greatest = self.sums.sum(axis=1), self.great.max(axis=1)
        mean = float(every[1] / max(every[0], 1.0))
        parts = [(every, greatest), *zip(self.sums.T, self.great.T, strict=True)]
        first, second, third = (
            _test(sums, great, mean=None if whole else mean) for sums, great in parts
        )
        return first, second, third


def _greatest(values: Floats, rows: NDArray[np.intp]) -> float:
    """Return the greatest of all values in some of N rows, at least 0."""
    some = values if len(rows) == len(values) else values[rows]
    return float(some.max(initial=0.0))


def later_half(at: NDArray[np.datetime64]) -> NDArray[np.bool_]:
    """Say which decisions belong to the second half in time, equal instants together; (N,).

    Example:
        >>> later_half(np.array(["2026-01-02", "2026-01-01", "2026-01-03"], "datetime64[us]")).sum()
        np.int64(2)
    """
    return np.asarray(at >= middle_of(at))


def middle_of(at: NDArray[np.datetime64]) -> np.datetime64:
    """Return the instant at which the second half of (N,) decisions begins."""
    middle: np.datetime64 = np.partition(at, len(at) // 2)[len(at) // 2]
    return middle


def _test(sums: Floats, great: Floats, *, mean: float | None) -> MeanWeight:
    """Test a mean weight; with a `mean`, variance and greatest weight are those that were seen."""
    count, weights, squares, expected, variance = sums.tolist()
    if not count:
        return MeanWeight(1.0, 1.0, 1.0)
    greatest = float(great[0])
    if mean is not None:
        variance = squares - 2.0 * mean * weights + count * mean**2
        greatest = float(great[1])
    distance = abs(weights - expected)
    spread = max(variance, 0.0) + greatest * distance / 3.0
    near = distance <= 1e-6 * count or spread <= 0.0
    p = 1.0 if near else min(1.0, 2.0 * math.exp(-(distance**2) / (2.0 * spread)))
    return MeanWeight(weights / count, expected / count, p)
