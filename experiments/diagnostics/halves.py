"""Values in the two halves of a log, in time: of a policy, and of one policy over another."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from experiments.diagnostics.limits import LIMITS
from experiments.logs import LoggedDecisions
from experiments.weights import counted_weights

Floats = NDArray[np.float64]

_SURELY = 0.05  # two-sided, by half


@dataclass(frozen=True, slots=True)
class ValueDrift:
    """A target's value in the first and in the second half of the log.

    It holds no amounts, since it is told also where no number is.

    Args:
        share: distance of the halves' SNIPS as a share of the greater of the two.
        p: p-value of the distance; 1 if a half has too few conversions to tell.
        common: whether what was logged moved too, at least half as far, and the target in
            proportion to it as far as can be told. It is no fault of the target then, and of the
            log's time all the same.
    """

    share: float
    p: float
    common: bool = False

    @property
    def seen(self) -> bool:
        """Whether the values differ by more than chance."""
        return self.p < LIMITS.alarm

    @property
    def great(self) -> bool:
        """Whether they differ by more than chance, and by an amount that matters."""
        return self.seen and self.share > LIMITS.halves


@dataclass(frozen=True, slots=True)
class GapDrift:
    """One target's value over another's, in the first and in the second half of the log.

    Args:
        share: distance of the halves' differences as a share of the greater; up to 2, if they
            have two signs.
        p: p-value of the distance; 1 if there are too few conversions to tell.
        settled: whether each half by itself says surely which is worth more, and both the same; or
            what was logged moved too, at least half as far, and the difference in proportion to it
            as far as can be told.
    """

    share: float
    p: float
    settled: bool = False

    @property
    def great(self) -> bool:
        """Whether one number for both halves would mislead."""
        return self.p < LIMITS.alarm and self.share > LIMITS.halves and not self.settled


STEADY = GapDrift(0.0, 1.0)
"""Nothing was seen."""


@dataclass(frozen=True)
class ValueSums:
    """What the values of the halves need of some decisions; those of parts can be added.

    Args:
        weights, rewards: (2, G) sums of w and w r of each cluster, by half.
        values: (2, 2) sums of |w v| and (w v)^2 of each half, v the outcomes' value.
        logged: (2, 2, G) the same sums as `weights` and `rewards` of what was logged, whose w is 1.
    """

    weights: Floats
    rewards: Floats
    values: Floats
    logged: Floats

    @classmethod
    def of(
        cls,
        log: LoggedDecisions,
        target: Floats,
        middle: np.datetime64,
        clusters: NDArray[np.intp],
        size: int,
    ) -> ValueSums:
        """Add up N decisions.

        Args:
            log: N decisions.
            target: (N, A) probabilities.
            middle: the instant at which the second half begins.
            clusters: (N,) below `size`.
            size: G.
        """
        later, weights = log.at >= middle, counted_weights(log, target)  # (N,)
        cells, value = later * size + clusters, np.abs(weights * log.outcome_value)  # (N,)
        stands = np.ones(len(log)) if log.stands is None else log.stands  # (N,)
        pairs = ((stands, stands * log.reward), (weights, weights * log.reward))
        logged, own = np.array([[by_cell(cells, each, size) for each in pair] for pair in pairs])
        return cls(
            own[0],
            own[1],
            np.stack([np.bincount(later, each, minlength=2) for each in (value, value**2)], 1),
            logged,
        )

    def __add__(self, other: ValueSums) -> ValueSums:
        return ValueSums(
            self.weights + other.weights,
            self.rewards + other.rewards,
            self.values + other.values,
            self.logged + other.logged,
        )

    @property
    def conversions(self) -> float:
        """Effective conversions of the half that has fewer."""
        return min(_ratio(float(one) ** 2, float(two)) for one, two in self.values)

    def drift(self) -> ValueDrift:
        """Return how the halves' values differ; see `ValueDrift`.

        With values t of the target and l of what was logged, they moved in proportion if
        t_1 l_2 = t_2 l_1. Both this and t_1 = t_2 are tested by Student's t, with one degree of
        freedom less than there are effective conversions in a half; customers are the units.
        """
        if self.conversions < LIMITS.conversions:
            return ValueDrift(0.0, 1.0)
        degrees = self.conversions - 1.0
        share, p = _apart(*self._halves, degrees)
        return ValueDrift(share, p, self._in_step(*self._halves, degrees, share))

    def drift_over(self, other: ValueSums, conversions: float) -> GapDrift:
        """Return how the halves' differences to another target differ; see `GapDrift`.

        What both gained or lost alike cancels. The test is Student's, with one degree of freedom
        less than half of the effective conversions that tell the two apart.

        Args:
            other: of the same decisions and clusters.
            conversions: effective ones that tell the two apart.
        """
        least = min(self.conversions, other.conversions)
        if least < LIMITS.conversions or conversions < LIMITS.conversions:
            return STEADY
        (one, errors), (two, others) = self._halves, other._halves
        apart, spread = one - two, errors - others  # (2,), (2, G)
        degrees = conversions / 2.0 - 1.0
        share, p = _apart(apart, spread, degrees)
        surely = (_p(each, row, degrees) < _SURELY for each, row in zip(apart, spread, strict=True))
        same = bool(apart[0] * apart[1] > 0.0) and all(surely)
        return GapDrift(share, p, same or self._in_step(apart, spread, degrees, share))

    def _in_step(self, halves: Floats, errors: Floats, degrees: float, share: float) -> bool:
        """Say whether values, or differences, moved as what was logged did; see `_apart`.

        A small move of what was logged, which a large log shows beyond doubt, excuses no large one.
        """
        known, others = _halves(*self.logged)  # (2,), (2, G)
        cross = halves * known[::-1]  # (2,)
        spread = errors * known[::-1, None] + halves[:, None] * others[::-1]  # (2, G)
        moved = ValueDrift(*_apart(known, others, degrees))
        beyond = ValueDrift(*_apart(cross, spread, degrees))
        return moved.seen and moved.share >= share / 2.0 and not beyond.great

    @property
    def _halves(self) -> tuple[Floats, Floats]:
        return _halves(self.weights, self.rewards)


def by_cell(cells: NDArray[np.intp], values: Floats, size: int) -> Floats:
    """Add up (N,) values by half and cluster; (2, G).

    Args:
        cells: (N,) half times `size`, plus cluster.
        values: (N,).
        size: G.
    """
    sums = np.bincount(cells, values, minlength=2 * size)
    return np.asarray(sums, dtype=np.float64).reshape(2, size)


def two_sided(distance: float, stderr: float, degrees: float = math.inf) -> float:
    """Return the p-value of a distance from 0, by the normal or by Student's distribution.

    Example:
        >>> round(two_sided(1.96, 1.0), 3), round(two_sided(1.96, 1.0, 9.0), 3)
        (0.05, 0.082)
    """
    if stderr <= 0.0 or math.isnan(stderr):
        return 1.0
    z = -abs(distance) / stderr
    return float(2.0 * (special.ndtr(z) if math.isinf(degrees) else special.stdtr(degrees, z)))


def _halves(weights: Floats, rewards: Floats) -> tuple[Floats, Floats]:
    """Return SNIPS of each half, (2,), and what each cluster adds to its error, (2, G)."""
    total = weights.sum(axis=1)  # (2,)
    value = rewards.sum(axis=1) / total  # (2,)
    return value, (rewards - value[:, None] * weights) / total[:, None]


def _apart(halves: Floats, errors: Floats, degrees: float) -> tuple[float, float]:
    """Return how far two values are apart as a share of the greater, and the p-value of that.

    Args:
        halves: (2,) values.
        errors: (2, G) what each cluster adds to their errors.
        degrees: of freedom.
    """
    first, second = halves.tolist()
    share = _ratio(abs(first - second), max(abs(first), abs(second)))
    return share, _p(second - first, errors[1] - errors[0], degrees)


def _p(distance: float, spread: Floats, degrees: float) -> float:
    return two_sided(distance, float(np.sqrt(spread @ spread)), degrees)


def _ratio(over: float, under: float) -> float:
    return float(over) / float(under) if under > 0.0 else 0.0
