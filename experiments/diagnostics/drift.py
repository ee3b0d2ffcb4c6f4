"""Drift: whether the two halves of a log, in time, speak of the same customers and values."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from experiments.diagnostics.limits import LIMITS
from experiments.diagnostics.mean_weight import later_half
from experiments.logs import LoggedDecisions
from experiments.logs.places import class_shares
from experiments.reward_models.features import Encoding, Summary
from experiments.reward_models.raw_features import ContextBlock
from experiments.tally import clusters_of
from experiments.weights import counted_weights

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shift:
    """What changed between the halves whatever the target.

    Args:
        features: greatest distance between the means of a feature, in its standard deviations.
        p_features: p-value of the most surprising feature, times the number of features.
        allocation: share of the logged probability that moved to other actions. Where a policy
            learns it moves, and that is no fault.
        feature: whose mean moved farthest; empty if none did, or if names are not known.
    """

    features: float
    p_features: float
    allocation: float
    feature: str = ""

    @property
    def seen(self) -> bool:
        """Whether the customers changed, surely and by an amount that matters."""
        return self.p_features < LIMITS.alarm and self.features > LIMITS.shift_warning


@dataclass(frozen=True, slots=True)
class ValueDrift:
    """A target's value in the first and in the second half of the log.

    It holds no amounts, since it is told also where no number is.

    Args:
        share: distance of the halves' SNIPS as a share of the greater of the two.
        p: p-value of the distance; 1 if a half has too few conversions to tell.
    """

    share: float
    p: float

    @property
    def seen(self) -> bool:
        """Whether the values differ by more than chance."""
        return self.p < LIMITS.alarm


def shift(log: LoggedDecisions, exclude: Collection[str] = ()) -> Shift:
    """Compare features and allocation of the halves; customers are taken as independent.

    Args:
        log: N decisions.
        exclude: features that are not looked at.
    """
    later = later_half(log.at)  # (N,)
    if later.all():
        return Shift(0.0, 1.0, 0.0)
    block = ContextBlock(log.contexts, log.at)
    encoding = Encoding.of(Summary.of(block), exclude=exclude)
    x = encoding.matrix(block)  # (N, D)
    return ShiftSums.of(x, class_shares(log), later, *clusters_of(log.customer)).shift(
        encoding.names
    )


@dataclass(frozen=True)
class ShiftSums:
    """What `shift` needs of some decisions, by half; those of the parts of a log can be added.

    Args:
        counts: (2, G) decisions of each cluster.
        columns: (2, D, G) sums of the context's columns.
        squares: (D,) sums of their squares.
        allocation: (2, A) sums of the logged distributions; by class where actions are very many.
    """

    counts: Floats
    columns: Floats
    squares: Floats
    allocation: Floats

    @classmethod
    def of(
        cls,
        x: Floats,
        distribution: Floats,
        later: NDArray[np.bool_],
        clusters: NDArray[np.intp],
        size: int,
    ) -> ShiftSums:
        """Add up N decisions.

        Args:
            x: (N, D) contexts as columns.
            distribution: (N, A).
            later: (N,) whether a decision is of the second half.
            clusters: (N,) below `size`.
            size: G.
        """
        cells = later * size + clusters  # (N,)
        ones = np.ones(len(x))
        sums = [_by_cell(cells, column, size) for column in (ones, *x.T)]  # (2, G) each
        halves = np.stack([~later, later]).astype(np.float64)  # (2, N)
        columns = np.stack(sums[1:], axis=1) if x.shape[1] else np.zeros((2, 0, size))
        return cls(sums[0], columns, np.einsum("nd,nd->d", x, x), halves @ distribution)

    def __add__(self, other: ShiftSums) -> ShiftSums:
        return ShiftSums(
            self.counts + other.counts,
            self.columns + other.columns,
            self.squares + other.squares,
            self.allocation + other.allocation,
        )

    def shift(self, names: Sequence[str] = ()) -> Shift:
        """Return what changed; see `shift`.

        Args:
            names: (D,) of the columns; empty if they are not known.
        """
        counts = self.counts.sum(axis=1)  # (2,)
        if not counts.all():
            return Shift(0.0, 1.0, 0.0)
        totals, n = self.columns.sum(axis=2), float(counts.sum())  # (2, D)
        means = totals / counts[:, None]  # (2, D)
        mean = totals.sum(axis=0) / n  # (D,)
        apart = means[1] - means[0]  # (D,)
        scale = np.sqrt(np.maximum(self.squares / n - mean**2, 0.0))  # (D,)
        centred = self.columns - mean[:, None] * self.counts[:, None, :]  # (2, D, G)
        spread = centred[1] / counts[1] - centred[0] / counts[0]  # (D, G)
        errors = np.sqrt(np.einsum("dg,dg->d", spread, spread))  # (D,)
        p = [_two_sided(a, e) for a, e in zip(apart.tolist(), errors.tolist(), strict=True)]
        sizes = np.divide(np.abs(apart), scale, out=np.zeros_like(apart), where=scale > 0.0)
        moved = self.allocation[1] / counts[1] - self.allocation[0] / counts[0]  # (A,)
        return Shift(
            float(sizes.max(initial=0.0)),
            min(1.0, min(p, default=1.0) * max(1, len(p))),
            float(np.abs(moved).sum()) / 2.0,
            names[int(sizes.argmax())] if len(names) and sizes.any() else "",
        )


@dataclass(frozen=True)
class ValueSums:
    """What `ValueDrift` needs of some decisions, by half; those of parts can be added.

    Args:
        weights, rewards: (2, G) sums of w and w r of each cluster.
        values: (2, 2) sums of |w v| and (w v)^2 of each half, v the outcomes' value.
    """

    weights: Floats
    rewards: Floats
    values: Floats

    @classmethod
    def of(
        cls,
        log: LoggedDecisions,
        target: Floats,
        middle: np.datetime64,
        clusters: NDArray[np.intp],
        size: int,
    ) -> ValueSums:
        """Add up N decisions; `middle` is the instant at which the second half begins."""
        later, weights = log.at >= middle, counted_weights(log, target)  # (N,)
        cells, value = later * size + clusters, np.abs(weights * log.outcome_value)  # (N,)
        return cls(
            _by_cell(cells, weights, size),
            _by_cell(cells, weights * log.reward, size),
            np.stack([np.bincount(later, each, minlength=2) for each in (value, value**2)], 1),
        )

    def __add__(self, other: ValueSums) -> ValueSums:
        return ValueSums(
            self.weights + other.weights,
            self.rewards + other.rewards,
            self.values + other.values,
        )

    def drift(self) -> ValueDrift:
        """Return how the halves' values differ; see `ValueDrift`."""
        total = self.weights.sum(axis=1)  # (2,)
        value = [_ratio(*pair) for pair in zip(self.rewards.sum(axis=1), total, strict=True)]
        seen = [_ratio(float(one) ** 2, float(two)) for one, two in self.values]
        if min(seen) < LIMITS.conversions:
            return ValueDrift(0.0, 1.0)
        first, second = value
        centred = (self.rewards - np.array(value)[:, None] * self.weights) / total[:, None]
        sums = centred[1] - centred[0]  # (G,)
        share = _ratio(abs(first - second), max(abs(first), abs(second)))
        return ValueDrift(share, _two_sided(second - first, float(np.sqrt(sums @ sums))))


def _by_cell(cells: NDArray[np.intp], values: Floats, size: int) -> Floats:
    """Add up (N,) values by half and cluster; (2, G)."""
    sums = np.bincount(cells, values, minlength=2 * size)
    return np.asarray(sums, dtype=np.float64).reshape(2, size)


def _ratio(over: float, under: float) -> float:
    return float(over) / float(under) if under > 0.0 else 0.0


def _two_sided(distance: float, stderr: float) -> float:
    if stderr <= 0.0 or math.isnan(stderr):
        return 1.0
    return float(2.0 * special.ndtr(-abs(distance) / stderr))
