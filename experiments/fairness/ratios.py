"""Means of groups and their ratios to the best one's; customers, not decisions, are independent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from experiments.intervals.base import Bounds, normal_quantile
from experiments.logs import LoggedDecisions
from experiments.tally import clusters_of

Floats = NDArray[np.float64]

NOWHERE = Bounds(math.nan, math.nan)
"""The interval of what is not defined."""


@dataclass(frozen=True)
class Means:
    """Means of groups of decisions, with the parts of their errors that customers add.

    A customer whose field changed may be in two groups: errors are added up over customers, so
    that their dependence is respected.

    Args:
        names: (G,) labels, sorted.
        mean: (G,) means.
        parts: (G, C) what each customer adds to the error of a mean.
        customers, decisions: (G,) sizes.
    """

    names: Sequence[str]
    mean: Floats
    parts: Floats
    customers: Sequence[int]
    decisions: Sequence[int]

    @classmethod
    def of(cls, terms: Floats, log: LoggedDecisions, labels: NDArray[np.object_]) -> Self:
        """Take the means of (N,) terms over the decisions of each label, (N,) text."""
        names, codes = np.unique(labels.astype(str), return_inverse=True)  # (G,), (N,)
        customers, size = clusters_of(log.customer)
        decisions = np.bincount(codes)  # (G,)
        mean = np.bincount(codes, terms) / decisions
        parts = np.zeros((len(names), size))  # (G, C)
        np.add.at(parts, (codes, customers), (terms - mean[codes]) / decisions[codes])
        members = [len(np.unique(customers[codes == g])) for g in range(len(names))]
        return cls(names.tolist(), mean, parts, members, decisions.tolist())

    def error(self, slope: Floats) -> float:
        """Return the standard error of a combination of the means, given its derivative (G,)."""
        count = self.parts.shape[1]
        return float(np.sqrt(count / max(count - 1, 1) * np.sum((slope @ self.parts) ** 2)))

    def interval(self, group: int, level: float) -> Bounds:
        """Return the normal interval of one mean."""
        reach = normal_quantile(level) * self.error(np.eye(len(self.names))[group])
        value = float(self.mean[group])
        return Bounds(value - reach, value + reach)


@dataclass(frozen=True, slots=True)
class Ratios:
    """Every group's mean over the best one's.

    Args:
        best: number of the best-served group; None if there is none to divide by.
        values: (G,) ratios; NaN where they are not defined.
        bounds: (G,) intervals, all of which hold at once.
    """

    best: int | None
    values: Sequence[float]
    bounds: Sequence[Bounds]


def ratios_of(means: Means, usable: NDArray[np.bool_], lows: Floats, level: float) -> Ratios:
    """Hold groups against the best-served one of those that may be compared.

    The best group is chosen by the same data, so of equal groups the others' ratios come out a
    little below 1.

    Args:
        means: of G groups.
        usable: (G,) whether a group may be compared.
        lows: (G,) what has to be above 0 for a group's mean to be divided by.
        level: nominal coverage of all ratios together.
    """
    best = int(np.argmax(np.where(usable, means.mean, -np.inf))) if usable.any() else None
    if best is not None and not lows[best] > 0.0:
        best = None
    found = [
        _ratio(means, g, best, usable, level) if best is not None else (math.nan, NOWHERE)
        for g in range(len(means.names))
    ]
    return Ratios(best, [value for value, _ in found], [bounds for _, bounds in found])


def _ratio(
    means: Means, group: int, best: int, usable: NDArray[np.bool_], level: float
) -> tuple[float, Bounds]:
    """Return a group's mean over the best one's, with an interval by the delta method.

    All ratios of a table hold at once (Bonferroni). The interval is symmetric in the logarithm
    where the ratio is positive.
    """
    if not usable[group]:
        return math.nan, NOWHERE
    if group == best:
        return 1.0, Bounds(1.0, 1.0)
    top = float(means.mean[best])
    ratio = float(means.mean[group]) / top
    slope = np.zeros(len(means.names))
    slope[group], slope[best] = 1.0 / top, -ratio / top
    others = max(1, int(np.count_nonzero(usable)) - 1)
    reach = normal_quantile(1.0 - (1.0 - level) / others) * means.error(slope)
    if ratio <= 0.0:
        return ratio, Bounds(ratio - reach, ratio + reach)
    return ratio, Bounds(ratio * math.exp(-reach / ratio), ratio * math.exp(reach / ratio))
