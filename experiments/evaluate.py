"""Evaluation: what a policy is worth, from decisions that another one made."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from agents.groups import Group
from agents.revision import Revision
from experiments.diagnostics import Diagnostics, diagnose
from experiments.estimators import Estimate, Estimator, find_estimator
from experiments.intervals import Bounds, clustered_error, envelope_interval
from experiments.logs import LoggedDecisions
from experiments.reward_models import cross_fit
from experiments.weights import importance_weights

DEFAULT_ESTIMATORS = ("snips", "dr")
SNIPS = find_estimator("snips")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The value of one target policy, with everything that says how far to believe it.

    Args:
        target: name of the target, for reports.
        estimates: one for each estimator asked.
        diagnostics: of this target on this log.
        warnings: in words; empty if nothing speaks against the estimates.
    """

    target: str
    estimates: tuple[Estimate, ...]
    diagnostics: Diagnostics
    warnings: tuple[str, ...]

    def by(self, estimator: str) -> Estimate:
        """Return the estimate of one estimator.

        Raises:
            KeyError: it was not asked.
        """
        return {estimate.estimator: estimate for estimate in self.estimates}[estimator]


def evaluate(
    log: LoggedDecisions,
    target: NDArray[np.float64],
    *,
    name: str = "target",
    estimators: Sequence[str] = DEFAULT_ESTIMATORS,
    level: float = 0.95,
    reward_range: Bounds | None = None,
    exclude: Collection[str] = (),
    q_hat: NDArray[np.float64] | None = None,
) -> Evaluation:
    """Estimate the value of a target policy in currency per decision.

    Args:
        log: decisions of the treatment and random groups; those of the control group were not
            drawn from the allowed actions and would falsify the answer.
        target: (N, A) probabilities; see `experiments.targets`.
        name: of the target, for reports.
        estimators: names from `ESTIMATORS`.
        level: nominal coverage of the intervals.
        reward_range: the least and the greatest reward a decision can have, see `declared_range`;
            without it, or where it is narrower, the observed rewards count.
        exclude: features that the reward model shall not use.
        q_hat: (N, A) predicted rewards; without it a ridge model is cross-fitted if one is needed.

    Raises:
        LogError: no decisions, control decisions, one customer only, or nothing to weigh.
        UnknownNameError: an estimator that does not exist.
        ValueError: a target that is no (N, A) array of distributions.
    """
    asked = [find_estimator(estimator) for estimator in estimators]
    _check(log, target)
    if q_hat is None:
        needed = any(estimator.needs_model for estimator in asked)
        q_hat = cross_fit(log, exclude=exclude) if needed else np.zeros_like(target)  # (N, A)
    question = _Question(
        log, target, q_hat, diagnose(log, target), _limits(log, reward_range),
        _design_effect(log, SNIPS.terms(log, target, q_hat)), level,
    )  # fmt: skip
    rows = tuple(question.ask(estimator) for estimator in asked)
    warnings = tuple(_warnings(rows, question.diagnostics))
    return Evaluation(name, rows, question.diagnostics, warnings)


def declared_range(revision: Revision) -> Bounds:
    """Return the least and the greatest reward that one decision of an agent can have.

    All harmful outcomes at once, less the dearest action; and all good ones at no cost. An outcome
    that counts each time is taken once, so the observed rewards may still go beyond.
    """
    values = [outcome.worth for outcome in revision.agent.outcomes.values()]
    dearest = max(action.cost for action in revision.actions)
    return Bounds(sum(min(v, 0.0) for v in values) - dearest, sum(max(v, 0.0) for v in values))


@dataclass(frozen=True, slots=True)
class _Question:
    """What all estimators of one evaluation share; see `evaluate` for the fields."""

    log: LoggedDecisions
    target: NDArray[np.float64]
    q_hat: NDArray[np.float64]
    diagnostics: Diagnostics
    limits: Bounds
    design_effect: float
    level: float

    def ask(self, estimator: Estimator) -> Estimate:
        """Return one estimator's answer."""
        terms = estimator.terms(self.log, self.target, self.q_hat)  # (N,)
        value, stderr = float(terms.mean()), clustered_error(terms, self.log.customer)
        low, high = envelope_interval(
            value, stderr, importance_weights(self.log, self.target), self.log.reward, self.level,
            reward_range=self.limits, design_effect=self.design_effect,
        )  # fmt: skip
        return Estimate(
            estimator.name, value, stderr, low, high, self.diagnostics.ess,
            self.diagnostics.effective_conversions, len(self.log), self.level,
        )  # fmt: skip


def _design_effect(log: LoggedDecisions, terms: NDArray[np.float64]) -> float:
    """Return by how much dependence within customers inflates the variance; at least 1."""
    alone = float(np.var(terms, ddof=1)) / len(log)
    return max(1.0, clustered_error(terms, log.customer) ** 2 / alone) if alone > 0.0 else 1.0


def _limits(log: LoggedDecisions, declared: Bounds | None) -> Bounds:
    seen = Bounds(min(0.0, float(log.reward.min())), max(0.0, float(log.reward.max())))
    return seen if declared is None else seen.union(declared)


def _check(log: LoggedDecisions, target: NDArray[np.float64]) -> None:
    control = int(np.count_nonzero(log.group == Group.CONTROL))
    if control:
        raise LogError(
            f"expected decisions of the treatment and random groups only, got {control} of the"
            " control group; keep the others with log.in_groups('treatment', 'random')"
        )
    if len(set(log.customer.tolist())) < 2:
        raise LogError(
            f"expected decisions of at least two customers, got {len(log)} decisions of"
            f" {len(set(log.customer.tolist()))}"
        )
    if target.shape != log.distribution.shape:
        raise ValueError(
            f"expected a target of shape {log.distribution.shape} (decisions, actions),"
            f" got {target.shape}"
        )
    sums = target.sum(axis=1)  # (N,)
    if not np.all(target >= 0.0) or not np.allclose(sums, 1.0, rtol=0.0, atol=1e-6):
        raise ValueError(
            "expected a target whose rows are probabilities that sum to 1;"
            f" got a least value of {target.min():g} and sums from {sums.min():g} to {sums.max():g}"
        )


def _warnings(rows: Sequence[Estimate], diagnostics: Diagnostics) -> list[str]:
    found = []
    if not diagnostics.audit.passed:
        found.append(
            "the propensity audit failed: actions were not drawn with the logged probabilities;"
            " believe no estimate from this log"
        )
    if not diagnostics.supported:
        found.append(
            f"{diagnostics.unsupported:.1%} of the target's probability is on actions that were"
            " barred or hardly ever drawn; the log says nothing of them"
        )
    if any(not row.enough for row in rows):
        found.append(
            f"not enough data: {diagnostics.effective_conversions:.1f} effective conversions,"
            " expected at least 10"
        )
    found += _disagreement(rows)
    return found


def _disagreement(rows: Sequence[Estimate]) -> list[str]:
    by_name = {row.estimator: row for row in rows}
    if not {"snips", "dr"} <= by_name.keys():
        return []
    snips, dr = by_name["snips"], by_name["dr"]
    if abs(snips.value - dr.value) <= max(snips.stderr, dr.stderr):
        return []
    return ["SNIPS and DR differ by more than a standard error; trust neither alone"]
