"""Paired differences: two policies valued on the same decisions, so that most noise cancels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from experiments.estimators import ENOUGH_CONVERSIONS, Pieces, find_estimator
from experiments.intervals.base import t_quantile
from experiments.logs import LoggedDecisions
from experiments.tally import Tally, clusters_of
from experiments.weighing import Weighed
from experiments.weights import effective_conversions

Floats = NDArray[np.float64]
Clusters = tuple[NDArray[np.intp], int]


@dataclass(frozen=True, slots=True)
class Gap:
    """A mean difference per decision.

    Args:
        value: currency per decision.
        stderr: its standard error; customers, not decisions, are taken as independent.
        low, high: bounds of the interval.
        conversions: effective conversions among the decisions that tell the two apart.
    """

    value: float
    stderr: float
    low: float
    high: float
    conversions: float


def gap(
    terms: tuple[Floats, Floats],
    weights: tuple[Floats, Floats],
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
        log: those decisions.
        clusters: of `experiments.tally.clusters_of`.
        level: nominal coverage in (0, 1).

    Raises:
        LogError: fewer than two customers.
    """
    numbers, size = clusters
    tally = Tally.of(Pieces(terms[0] - terms[1]), numbers, size)
    conversions = effective_conversions(weights[0] - weights[1], log.outcome_value)
    df = max(1.0, min(float(size), conversions) - 1.0)
    reach = t_quantile(level, df) * tally.stderr
    return Gap(tally.value, tally.stderr, tally.value - reach, tally.value + reach, conversions)


@dataclass(frozen=True, slots=True)
class Paired:
    """How much more one policy is worth than another, by one estimator.

    Args:
        estimator: by which both were valued.
        value, stderr, low, high, conversions: as of `Gap`, in the unit of the reward.
        level: nominal coverage in (0, 1).
    """

    estimator: str
    value: float
    stderr: float
    low: float
    high: float
    conversions: float
    level: float

    @property
    def enough(self) -> bool:
        """Whether there are enough effective conversions for the interval to mean anything."""
        return self.conversions >= ENOUGH_CONVERSIONS


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
    found = gap(terms, (rows[0].counted, rows[1].counted), log, clusters, level)
    return Paired(
        estimator, found.value, found.stderr, found.low, found.high, found.conversions, level
    )


def counting(log: LoggedDecisions, outcome: str) -> LoggedDecisions:
    """Return the log with the number of times that an outcome counted in place of the reward."""
    counts = np.array([names.count(outcome) for names in log.outcomes.tolist()], dtype=np.float64)
    return replace(log, reward=counts, outcome_value=counts)


def _terms(rows: Weighed, name: str, clusters: Clusters) -> Floats:
    pieces = find_estimator(name).pieces(rows)
    return Tally.of(pieces, *clusters).terms(pieces)
