"""Paired differences: two policies valued on the same decisions, so that most noise cancels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from experiments.diagnostics.halves import STEADY, GapDrift, ValueSums
from experiments.diagnostics.mean_weight import middle_of
from experiments.estimators import ENOUGH_CONVERSIONS, Pieces, find_estimator
from experiments.intervals.base import t_quantile
from experiments.logs import LoggedDecisions
from experiments.tally import Tally, clusters_of
from experiments.weighing import Weighed
from experiments.weights import effective_size

Floats = NDArray[np.float64]
Clusters = tuple[NDArray[np.intp], int]
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Gap:
    """A mean difference per decision.

    Args:
        value: currency per decision.
        stderr: its standard error; customers, not decisions, are taken as independent.
        low, high: bounds of the interval.
        conversions: effective conversions among the decisions that tell the two apart.
        drift: of the difference between the halves of the log.
    """

    value: float
    stderr: float
    low: float
    high: float
    conversions: float
    drift: GapDrift = STEADY

    @property
    def none(self) -> bool:
        """Whether there is no difference: the two answer alike, and nothing has to be estimated."""
        return self.value == 0.0 and self.stderr == 0.0


def less(one: Floats, other: Floats) -> Floats:
    """Return one - other of the same shape, where what is mere rounding counts as no difference.

    Example:
        >>> less(np.array([0.1 + 0.2, 2.0]), np.array([0.3, 1.0])).tolist()
        [0.0, 1.0]
    """
    apart = one - other
    scale = max(float(np.abs(one).max(initial=0.0)), float(np.abs(other).max(initial=0.0)))
    return np.where(np.abs(apart) > _ROUNDING * scale, apart, 0.0)


def gap(
    terms: tuple[Floats, Floats],
    weights: tuple[Floats, Floats],
    halves: tuple[ValueSums, ValueSums],
    log: LoggedDecisions,
    clusters: Clusters,
    level: float,
) -> Gap:
    """Return the difference of two policies by the terms of one estimator.

    With terms t whose means are the values (see `experiments.tally`), the difference is the mean of
    d = t_1 - t_2, and with totals D_g of d - mean over each of G customers its standard error is
    sqrt(G / (G - 1) sum D_g^2) / n. The interval is Student's, with one degree of freedom less
    than there are effective conversions under the weights |w_1 - w_2|: a variance of rare amounts
    is itself known no better, and where both policies do the same, a conversion says nothing.

    Args:
        terms: (N,) of each policy, on the same decisions.
        weights: (N,) counted weights of each.
        halves: what the halves of the log say of each.
        log: those decisions.
        clusters: of `experiments.tally.clusters_of`.
        level: nominal coverage in (0, 1).

    Raises:
        LogError: fewer than two customers.
    """
    tally = Tally.of(Pieces(less(*terms)), *clusters)
    conversions = effective_size(np.abs(less(*weights) * log.outcome_value))
    return gap_of(tally, conversions, halves, level)


def gap_of(
    tally: Tally, conversions: float, halves: tuple[ValueSums, ValueSums], level: float
) -> Gap:
    """Return a difference from what its terms add up to by customer; see `gap`.

    Args:
        tally: of the terms' differences.
        conversions: effective ones under |w_1 - w_2|.
        halves: what the halves of the log say of each.
        level: nominal coverage in (0, 1).

    Raises:
        LogError: fewer than two customers.
    """
    customers = float(np.count_nonzero(tally.counts))
    reach = t_quantile(level, max(1.0, min(customers, conversions) - 1.0)) * tally.stderr
    low, high = tally.value - reach, tally.value + reach
    drift = halves[0].drift_over(halves[1], conversions)
    return Gap(tally.value, tally.stderr, low, high, conversions, drift)


def tally_of(counts: Floats, totals: Floats) -> Tally:
    """Return the tally of a mean per decision, of whose terms only the totals by cluster are known.

    It knows value and standard error, and no design effect.

    Args:
        counts: (G,) decisions of each cluster.
        totals: (G,) of the terms.
    """
    sums = np.stack([totals, np.zeros_like(totals), counts, counts], axis=1)  # (G, 4)
    return Tally(counts, sums, np.zeros((4, 4)))


@dataclass(frozen=True, slots=True)
class Paired:
    """How much more one policy is worth than another, by one estimator.

    Args:
        estimator: by which both were valued.
        value, stderr, low, high, conversions, drift: as of `Gap`, in the unit of the reward.
        level: nominal coverage in (0, 1).
    """

    estimator: str
    value: float
    stderr: float
    low: float
    high: float
    conversions: float
    level: float
    drift: GapDrift = STEADY

    @property
    def enough(self) -> bool:
        """Whether there are enough effective conversions for the interval to mean anything."""
        return self.conversions >= ENOUGH_CONVERSIONS

    @property
    def told(self) -> bool:
        """Whether it may be told: there are enough, and both halves of the log say the same."""
        return self.enough and not self.drift.great


def paired(
    log: LoggedDecisions,
    one: Floats,
    other: Floats,
    *,
    estimator: str = "dr",
    q_hat: Floats | None = None,
    level: float = 0.95,
) -> Paired:
    """Value two policies on the same decisions, and the difference by its own standard error.

    Args:
        log: N decisions of the treatment and random groups.
        one: (N, A) probabilities.
        other: (N, A) probabilities; those that the log was drawn from, for what was logged.
        estimator: `snips` or `dr`, or another without a bias.
        q_hat: (N, A) predicted rewards, for an estimator that needs them.
        level: nominal coverage in (0, 1).
    """
    clusters = clusters_of(log.customer)
    rows = Weighed(log, one, q_hat), Weighed(log, other, q_hat)
    terms = _terms(rows[0], estimator, clusters), _terms(rows[1], estimator, clusters)
    middle = middle_of(log.at)
    halves = [ValueSums.of(log, each, middle, *clusters) for each in (one, other)]
    found = gap(
        terms, (rows[0].counted, rows[1].counted), (halves[0], halves[1]), log, clusters, level
    )
    return Paired(
        estimator, found.value, found.stderr, found.low, found.high, found.conversions, level,
        found.drift,
    )  # fmt: skip


def counting(log: LoggedDecisions, outcome: str) -> LoggedDecisions:
    """Return the log with the number of times that an outcome counted in place of the reward."""
    counts = np.array([names.count(outcome) for names in log.outcomes.tolist()], dtype=np.float64)
    return replace(log, reward=counts, outcome_value=counts)


def _terms(rows: Weighed, name: str, clusters: Clusters) -> Floats:
    pieces = find_estimator(name).pieces(rows)
    return Tally.of(pieces, *clusters).terms(pieces)
