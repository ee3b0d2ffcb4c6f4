"""Drift: whether the two halves of a log, in time, speak of the same customers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.diagnostics.cells import add_rows
from experiments.diagnostics.halves import by_cell, two_sided
from experiments.diagnostics.limits import LIMITS
from experiments.diagnostics.mean_weight import later_half
from experiments.logs import LoggedDecisions
from experiments.logs.places import class_shares
from experiments.reward_models.features import Encoding, Summary
from experiments.reward_models.raw_features import ContextBlock
from experiments.tally import clusters_of

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
        halves = np.stack([~later, later]).astype(np.float64)  # (2, N)
        counts = by_cell(cells, np.ones(len(x)), size)  # (2, G)
        columns = np.zeros((2, size, x.shape[1]))
        add_rows(cells, x, columns.reshape(2 * size, x.shape[1]))
        squares = np.einsum("nd,nd->d", x, x)
        return cls(counts, np.moveaxis(columns, 2, 1), squares, halves @ distribution)

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
        p = [two_sided(a, e) for a, e in zip(apart.tolist(), errors.tolist(), strict=True)]
        sizes = np.divide(np.abs(apart), scale, out=np.zeros_like(apart), where=scale > 0.0)
        moved = self.allocation[1] / counts[1] - self.allocation[0] / counts[0]  # (A,)
        return Shift(
            float(sizes.max(initial=0.0)),
            min(1.0, min(p, default=1.0) * max(1, len(p))),
            float(np.abs(moved).sum()) / 2.0,
            names[int(sizes.argmax())] if len(names) and sizes.any() else "",
        )
