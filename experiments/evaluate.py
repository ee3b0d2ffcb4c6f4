"""Evaluation: what a policy is worth, from decisions that another one made."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from agents.revision import Revision
from experiments.diagnostics import Diagnostics, Health, ValueSums, Verdict, diagnose, judge
from experiments.diagnostics.mean_weight import middle_of
from experiments.estimators import Estimate, Estimator, Pieces, find_estimator, settle
from experiments.evaluating import check_question
from experiments.intervals import INTERVALS, Bounds, Interval, Rows, Sample
from experiments.logs import LoggedDecisions
from experiments.paired import Gap, gap
from experiments.reward_models.ridge import cross_fit
from experiments.reward_models.robust import fit_robust
from experiments.tally import Floats, Tally, clusters_of
from experiments.weighing import Weighed

DEFAULT_ESTIMATORS = ("snips", "dr")
SNIPS = find_estimator("snips")
DEFAULT_INTERVAL = INTERVALS["envelope"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The value of one target policy, with everything that says how far to believe it.

    Args:
        target: name of the target, for reports.
        estimates: one for each estimator asked. Below the limits they are no answer: `shown` is
            what may be told.
        diagnostics: of this target on this log.
        warnings: in words; empty if nothing speaks against the estimates.
        asked: the estimators as they were asked for, in the order of `estimates`.
        forced: whether numbers are told although the verdict is against them.
        level: nominal coverage of the intervals.
    """

    target: str
    estimates: tuple[Estimate, ...]
    diagnostics: Diagnostics
    warnings: tuple[str, ...]
    asked: tuple[str, ...] = ()
    forced: bool = False
    level: float = 0.95

    @property
    def verdict(self) -> Verdict:
        """Whether the data support an answer, and if not, what would."""
        return judge(self.diagnostics, self.estimates)

    @property
    def shown(self) -> tuple[Estimate, ...]:
        """The estimates that may be told: none if not supported, unless they were forced."""
        return self.estimates if self.forced or self.verdict.supported else ()

    def by(self, estimator: str) -> Estimate:
        """Return the estimate of one estimator, by its name or as it was asked for.

        Raises:
            KeyError: it was not asked.
        """
        by_name = dict(zip(self.asked, self.estimates, strict=False))
        return (by_name | {row.estimator: row for row in self.estimates})[estimator]


def evaluate(
    log: LoggedDecisions,
    target: Floats,
    *,
    name: str = "target",
    estimators: Sequence[str] = DEFAULT_ESTIMATORS,
    interval: Interval = DEFAULT_INTERVAL,
    level: float = 0.95,
    reward_range: Bounds | None = None,
    exclude: Collection[str] = (),
    q_hat: Floats | None = None,
    mixture: Floats | None = None,
    health: Health | None = None,
) -> Evaluation:
    """Estimate the value of a target policy in currency per decision.

    Args:
        log: decisions of the treatment and random groups; those of the control group were not
            drawn from the allowed actions and would falsify the answer.
        target: (N, A) probabilities; see `experiments.targets`.
        name: of the target, for reports.
        estimators: names from `ESTIMATORS`, with or without settings; one whose setting is chosen
            answers under the name with that setting.
        interval: around each estimate.
        level: nominal coverage of the intervals.
        reward_range: the least and the greatest reward a decision can have, see `declared_range`;
            without it, or where it is narrower, the observed rewards count.
        exclude: features that the reward model shall not use.
        q_hat: (N, A) predicted rewards; without it a ridge model is cross-fitted if one is needed.
        mixture: (N,) see `experiments.estimators.balanced.mixture`; `bips` alone asks for it.
        health: of the log, if it is known, so that several targets need it once.

    Raises:
        LogError: no decisions, control decisions, one customer only, or nothing to weigh.
        UnknownNameError: an estimator that does not exist.
        ValueError: a target that is no (N, A) array of distributions.
    """
    asked = [find_estimator(estimator) for estimator in estimators]
    check_question(log, target)
    if q_hat is None:
        needed = any(estimator.needs_model for estimator in asked)
        q_hat = cross_fit(log, exclude=exclude) if needed else None  # (N, A)
    robust = fit_robust(log, target, exclude=exclude) if "mrdr" in estimators else None  # (N, A)
    question = Question(
        Weighed(log, target, q_hat, mixture, robust), level, interval, reward_range,
        health or Health.of(log, exclude),
    )  # fmt: skip
    return question.answer(name, estimators)


def declared_range(revision: Revision) -> Bounds:
    """Return the least and the greatest reward that one decision of an agent can have.

    All harmful outcomes at once, less the dearest action; and all good ones at no cost. An outcome
    that counts each time is taken once, so the observed rewards may still go beyond.
    """
    values = [outcome.worth for outcome in revision.agent.outcomes.values()]
    dearest = max(action.cost for action in revision.actions)
    return Bounds(sum(min(v, 0.0) for v in values) - dearest, sum(max(v, 0.0) for v in values))


@dataclass(frozen=True)
class Question:
    """One target on one log: what all its estimators share, worked out when first asked for.

    Args:
        rows: the log beside the target.
        level, interval, reward_range: as of `evaluate`.
        health: of the log.
    """

    rows: Weighed
    level: float = 0.95
    interval: Interval = DEFAULT_INTERVAL
    reward_range: Bounds | None = None
    health: Health | None = None

    def answer(self, name: str, estimators: Sequence[str], *, forced: bool = False) -> Evaluation:
        """Return the answers of some estimators, with the diagnostics and what they mean."""
        found = self.diagnostics
        rows = tuple(self.ask(find_estimator(each)) for each in estimators)
        return Evaluation(
            name, rows, found, judge(found, rows).warnings, tuple(estimators), forced, self.level
        )

    def ask(self, estimator: Estimator) -> Estimate:
        """Return one estimator's answer."""
        estimator = self.settled(estimator)
        pieces = self._pieces(estimator)
        tally = self.tally(pieces)
        low, high = self.interval.bounds(self._sample(tally, pieces), self.level)
        found = self.diagnostics
        return Estimate(
            estimator.name, tally.value, tally.stderr, low, high, found.ess,
            found.effective_conversions, tally.n, self.level,
        )  # fmt: skip

    def terms(self, estimator: Estimator) -> Floats:
        """Return each decision's share of an estimate, which is their mean; (N,) currency."""
        pieces = self._pieces(self.settled(estimator))
        return self.tally(pieces).terms(pieces)

    @property
    def shares(self) -> bool:
        """Whether the target could have made any of the log's draws."""
        return bool(self.rows.weights.any())

    def over(self, other: Question, estimator: Estimator) -> Gap:
        """Return how much more this target is worth than another, on the same decisions."""
        return gap(
            (self.terms(estimator), other.terms(estimator)),
            (self.rows.counted, other.rows.counted), (self.halves, other.halves),
            self.rows.log, self.clusters, self.level,
        )  # fmt: skip

    def where(self, kept: NDArray[np.bool_]) -> Question:
        """Ask the same of some decisions; what is known of the whole log's draws stays known."""
        health = None if self.health is None else replace(self.health, shift=None)
        return replace(self, rows=self.rows.where(kept), health=health)

    def settled(self, estimator: Estimator) -> Estimator:
        """Return an estimator with its setting, chosen on these rows if it has none yet."""
        return settle(estimator, lambda each: self.tally(self._pieces(each)))

    def tally(self, pieces: Pieces) -> Tally:
        """Add up the pieces by customer."""
        return Tally.of(pieces, *self.clusters)

    @cached_property
    def diagnostics(self) -> Diagnostics:
        """Of this target on this log."""
        return diagnose(self.rows.log, self.rows.target, self.health)

    @cached_property
    def halves(self) -> ValueSums:
        """What the halves of the log say of the target."""
        log = self.rows.log
        return ValueSums.of(log, self.rows.target, middle_of(log.at), *self.clusters)

    @cached_property
    def clusters(self) -> tuple[NDArray[np.intp], int]:
        """The number of each decision's customer, (N,), and how many there are."""
        return clusters_of(self.rows.log.customer)

    @cached_property
    def limits(self) -> Bounds:
        """The least and the greatest reward, declared or seen."""
        reward = self.rows.log.reward  # (N,)
        seen = Bounds(min(0.0, float(reward.min())), max(0.0, float(reward.max())))
        return seen if self.reward_range is None else seen.union(self.reward_range)

    def _pieces(self, estimator: Estimator) -> Pieces:
        return estimator.pieces(self.rows).standing_for(self.rows.log.stands)

    def _sample(self, tally: Tally, pieces: Pieces) -> Sample:
        weights, rewards = self.rows.counted, self.rows.log.reward  # (N,)
        total = float(weights.sum())
        gain, loss = (
            float(weights @ np.maximum(sign * rewards, 0.0)) / total if total > 0.0 else 0.0
            for sign in (1.0, -1.0)
        )
        return Sample(
            n=tally.n, value=tally.value, stderr=tally.stderr,
            design_effect=self.tally(self._pieces(SNIPS)).design_effect,
            ess=self.diagnostics.ess, gain=gain, loss=loss, reward_range=self.limits,
            weight_limit=self.diagnostics.possible_weight,
            rows=Rows(
                tally.terms(pieces), weights, rewards, self.clusters[0], self.rows.log.stands
            ),
            conversions=self.diagnostics.effective_conversions,
        )  # fmt: skip
