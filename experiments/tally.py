"""Tallies: an estimate and its standard error from sums, which can be added in any grouping."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError

if TYPE_CHECKING:  # estimators look at tallies themselves
    from experiments.estimators.base import Pieces

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tally:
    """Sums of the pieces a, b, c, d of V = mean(a) / mean(d) + mean(b) / mean(c), by cluster.

    A cluster is a customer, or many customers together; clusters are independent of each other.
    By the delta method a decision's term is t = V + (a - M d) / mean(d) + (b - R c) / mean(c), with
    M = mean(a) / mean(d) and R = mean(b) / mean(c): the mean of t is V, and with totals D_g of
    (t - V) over each of G clusters the standard error is sqrt(G / (G - 1) sum D_g^2) / n.

    Args:
        counts: (G,) decisions of each cluster.
        sums: (G, 4) of a, b, c and d.
        squares: (4, 4) sum over decisions of their products.

    Source: Liang and Zeger, Biometrika 1986.

    Example:
        >>> from experiments.estimators import Pieces
        >>> pieces = Pieces(np.array([0.0, 0.0, 2.0, 2.0]))
        >>> tally = Tally.of(pieces, np.array([0, 1, 0, 1]), 2)
        >>> tally.value, tally.n
        (1.0, 4)
        >>> (tally + tally).stderr == tally.stderr
        True
    """

    counts: Floats
    sums: Floats
    squares: Floats

    @classmethod
    def of(cls, pieces: Pieces, clusters: NDArray[np.intp], size: int) -> Tally:
        """Add up the pieces of N decisions.

        Args:
            pieces: (N,) each.
            clusters: (N,) number of the cluster of each decision, below `size`.
            size: G, so that tallies of several parts of a log can be added.
        """
        rows = _columns(pieces)  # (4, N)
        sums = np.zeros((size, len(rows)))  # (G, 4)
        for column, row in enumerate(rows):
            if row.any():  # a piece that an estimator lacks is 0 throughout
                sums[:, column] = np.bincount(clusters, row, minlength=size)
        counts = np.bincount(clusters, minlength=size).astype(np.float64)
        return cls(counts, sums, rows @ rows.T)

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.counts + other.counts, self.sums + other.sums, self.squares + other.squares
        )

    @property
    def n(self) -> int:
        """The number of decisions."""
        return round(float(self.counts.sum()))

    @property
    def value(self) -> float:
        """The estimate, currency per decision."""
        return self._mean + self._ratio

    @cached_property
    def stderr(self) -> float:
        """The standard error of the estimate.

        Raises:
            LogError: fewer than two clusters.
        """
        filled = int(np.count_nonzero(self.counts))
        if filled < 2:
            raise LogError(f"expected decisions of at least two customers, got {filled}")
        centred = self.sums @ self._slope  # (G,)
        return math.sqrt(filled / (filled - 1) * float(centred @ centred)) / self.n

    @property
    def design_effect(self) -> float:
        """How many times the variance exceeds that of independent decisions; at least 1."""
        total = float(self._slope @ self.squares @ self._slope)
        alone = max(total, 0.0) / (self.n - 1) / self.n
        return max(1.0, self.stderr**2 / alone) if alone > 0.0 else 1.0

    @property
    def totals(self) -> Floats:
        """What the terms of each cluster's decisions add up to; (G,), see `terms`."""
        return np.asarray(self.sums @ self._slope + self.counts * self.value)

    def terms(self, pieces: Pieces) -> Floats:
        """Return the terms of N decisions, whose mean over all of them is the estimate; (N,)."""
        return np.asarray(self._slope @ _columns(pieces) + self.value)

    @cached_property
    def _means(self) -> Floats:
        return np.asarray(self.sums.sum(axis=0) / self.counts.sum())  # (4,)

    @property
    def _mean(self) -> float:
        return float(self._means[0] / self._means[3])

    @property
    def _ratio(self) -> float:
        return float(self._means[1]) / self._under

    @property
    def _slope(self) -> Floats:
        """Return the derivative of V by the means of a, b, c and d; (4,)."""
        under, stands = self._under, float(self._means[3])
        return np.array([1.0 / stands, 1.0 / under, -self._ratio / under, -self._mean / stands])

    @property
    def _under(self) -> float:
        under = float(self._means[2])
        if under <= 0.0:
            raise LogError(
                "expected some decisions whose drawn action the target policy could choose too;"
                " got none, so its value cannot be estimated from this log"
            )
        return under


def _columns(pieces: Pieces) -> Floats:
    """Return a, b, c and d as rows; (4, N). Without a ratio b is 0 and c is 1, and so is d."""
    ones = np.ones_like(pieces.plain)
    stands = ones if pieces.stands is None else pieces.stands
    if pieces.over is None or pieces.under is None:
        return np.stack([pieces.plain, np.zeros_like(ones), ones, stands])
    return np.stack([pieces.plain, pieces.over, pieces.under, stands])


def clusters_of(customers: NDArray[np.object_]) -> tuple[NDArray[np.intp], int]:
    """Number the customers of (N,) decisions from 0; returns the numbers and how many there are."""
    names, codes = np.unique(customers.astype(str), return_inverse=True)
    return codes, len(names)
