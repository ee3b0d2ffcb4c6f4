"""How much a log says about one target."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.diagnostics.audit import Audit, audit
from experiments.diagnostics.drift import Shift, shift
from experiments.diagnostics.halves import ValueDrift, ValueSums
from experiments.diagnostics.limits import LIMITS
from experiments.diagnostics.mean_weight import MeanWeight, WeightSums, middle_of
from experiments.logs import LoggedDecisions
from experiments.tally import clusters_of
from experiments.weights import counted_weights

_TOP = 10

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Health:
    """What is true of a log whatever is asked of it: worked out once for all targets.

    Args:
        audit: of the propensities.
        shift: between the halves; None if it was not worked out.
    """

    audit: Audit
    shift: Shift | None = None

    @classmethod
    def of(cls, log: LoggedDecisions, exclude: Collection[str] = ()) -> Health:
        """Look at a log; features in `exclude` are left out."""
        return cls(audit(log), shift(log, exclude))


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """How much a log says about one target.

    Args:
        n: decisions.
        ess: effective sample size.
        effective_conversions: see `experiments.weights`.
        max_weight: the greatest importance weight that was drawn.
        top_share: share of sum |w r| that the ten greatest terms hold.
        unsupported: share of the target's probability on actions that were barred or had a
            propensity below 0.001.
        audit: of the propensities; it does not depend on the target.
        whole: whether every action's probability was logged; without them the audit says nothing.
        mean_weights: of the whole log and its halves; empty if they were not worked out.
        shift: between the halves of the log; None if it was not worked out.
        drift: of the target's value between the halves; likewise.
        possible_weight: the greatest weight that could have been drawn, as far as the logged
            distributions tell, and at least `max_weight`; 0 if it was not worked out.
    """

    n: int
    ess: float
    effective_conversions: float
    max_weight: float
    top_share: float
    unsupported: float
    audit: Audit
    whole: bool = True
    mean_weights: tuple[MeanWeight, ...] = ()
    shift: Shift | None = None
    drift: ValueDrift | None = None
    possible_weight: float = 0.0

    @property
    def supported(self) -> bool:
        """Whether at most 1% of the target's probability is unsupported."""
        return self.unsupported <= LIMITS.unsupported


def diagnose(
    log: LoggedDecisions, target: NDArray[np.float64], health: Health | None = None
) -> Diagnostics:
    """Work out the diagnostics of a target on a log.

    Args:
        log: N decisions.
        target: (N, A) probabilities.
        health: of the log, if it is known; without it only the audit is made.
    """
    health = health or Health(audit(log))
    clusters = clusters_of(log.customer)
    sums = TargetSums.of(log, target, middle_of(log.at), *clusters)
    return sums.diagnostics(health, whole=log.whole)


@dataclass(frozen=True)
class TargetSums:
    """What the diagnostics need of a target and some decisions; those of parts can be added.

    Args:
        sums: (8,) of 1, |w|, w^2, |w v|, (w v)^2, |w r|, unsupported probability, and how many
            decisions each stands for.
        top: the ten greatest of |w r|, or fewer.
        greatest: weight.
        stood: how many decisions one stands for, at most.
        weights, values: for the tests of the mean weight, and of the halves' values.
    """

    sums: Floats
    top: Floats
    greatest: float
    stood: float
    weights: WeightSums
    values: ValueSums

    @classmethod
    def of(
        cls,
        log: LoggedDecisions,
        target: Floats,
        middle: np.datetime64,
        clusters: NDArray[np.intp],
        size: int,
    ) -> TargetSums:
        """Add up some decisions.

        Args:
            log: N decisions.
            target: (N, A) probabilities.
            middle: the instant at which the second half of the whole log begins.
            clusters: (N,) number of the cluster of each decision, below `size`.
            size: G.
        """
        w = counted_weights(log, target)  # (N,)
        value, terms = np.abs(w * log.outcome_value), np.abs(w * log.reward)  # (N,)
        thin = ~log.allowed | (log.distribution < LIMITS.thin)  # (N, A)
        stands = np.ones(len(log)) if log.stands is None else log.stands  # (N,)
        unsupported = float(stands @ np.einsum("na,na->n", target, thin))
        pairs = [(np.abs(w).sum(), w @ w), (value.sum(), value @ value)]
        return cls(
            np.array([len(log), *pairs[0], *pairs[1], terms.sum(), unsupported, stands.sum()]),
            _greatest(terms),
            float(w.max(initial=0.0)),
            float(stands.max(initial=0.0)),
            WeightSums.of(log, target, middle),
            ValueSums.of(log, target, middle, clusters, size),
        )

    def __add__(self, other: TargetSums) -> TargetSums:
        return TargetSums(
            self.sums + other.sums,
            _greatest(np.concatenate([self.top, other.top])),
            max(self.greatest, other.greatest),
            max(self.stood, other.stood),
            self.weights + other.weights,
            self.values + other.values,
        )

    @property
    def n(self) -> int:
        """The number of decisions."""
        return round(float(self.sums[0]))

    def diagnostics(self, health: Health, *, whole: bool) -> Diagnostics:
        """Return the diagnostics of the decisions that were added up."""
        n, weight, weights, value, values, total, unsupported, stood = self.sums.tolist()
        possible = self.weights.possible * self.stood if whole else 0.0
        return Diagnostics(
            n=round(n),
            ess=weight**2 / weights if weights > 0.0 else 0.0,
            effective_conversions=value**2 / values if values > 0.0 else 0.0,
            max_weight=self.greatest,
            top_share=float(self.top.sum()) / total if total > 0.0 else 0.0,
            unsupported=unsupported / stood,
            audit=health.audit,
            whole=whole,
            mean_weights=() if health.audit.thinned else self.weights.tests(whole=whole),
            shift=health.shift,
            drift=self.values.drift(),
            possible_weight=max(possible, self.greatest),
        )


def _greatest(terms: Floats) -> Floats:
    """Return the ten greatest of (N,) terms, in order."""
    if len(terms) > _TOP:
        terms = np.partition(terms, -_TOP)[-_TOP:]
    return np.sort(terms)
