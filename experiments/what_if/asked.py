"""One change of guardrails, asked of a log: all that it knows, and what it cannot know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.guardrails.base import Compiled
from agents.revision import Revision
from experiments.evaluate import Evaluation, declared_range, evaluate
from experiments.lift.labels import label
from experiments.paired import Paired, paired
from experiments.revisions import hidden_features
from experiments.reward_models.ridge import cross_fit
from experiments.what_if.change import Change, in_words
from experiments.what_if.loosened import Loosened, loosen
from experiments.what_if.models import predictions
from experiments.what_if.prices import Price, prices_of
from experiments.what_if.reach import ALL, Reach, RuleReach, reach_of, rules_reach
from experiments.what_if.rerun import Progress, Rerun, check_hashed, check_same, rerun
from experiments.what_if.rows import Rows
from experiments.what_if.second import Opinion, check_world, second_opinion
from experiments.what_if.tightened import Tightened, policies_of, tighten

_ESTIMATORS = ("snips", "dr")
_PRECISION = 0.1  # of the logged value


@dataclass(frozen=True, slots=True)
class Question:
    """How a change is to be looked at.

    Args:
        by: segments, a customer field or an expression; none if empty.
        level: nominal coverage of the intervals.
        precision: half-width that exploration aims at, currency per decision; None takes a tenth of
            the logged value.
        prices: whether rules are priced.
        snapshots: folder of the snapshots that decided, None if there is none.
        key: file of the key that they are signed with.
        world: a world for the second opinion, empty for none.
        customers, seed: of that world.
    """

    by: str = ""
    level: float = 0.95
    precision: float | None = None
    prices: bool = True
    snapshots: Path | None = None
    key: Path | None = None
    world: str = ""
    customers: int = 2_000
    seed: int = 1


@dataclass(frozen=True)
class Answer:
    """What a log says of a change.

    Args:
        rows: the decisions that were asked.
        after: the changed agent.
        words: the change in words.
        reach: over all decisions first, then by segment.
        rules: likewise, by rule.
        tightened: what the policy would have chosen among what is left; None if nothing is taken.
        value: of that policy; None if nothing is taken.
        differences: to what was logged, one an estimator.
        loosened: None if nothing is freed.
        prices: of the rules in force.
        memory: rules whose meaning depends on what was sent before, so that the answer is
            first-order.
        opinion: of the simulator, None if it was not asked.
    """

    rows: Rows
    after: Revision
    words: tuple[str, ...]
    reach: tuple[Reach, ...]
    rules: tuple[RuleReach, ...]
    tightened: Tightened | None
    value: Evaluation | None
    differences: tuple[Paired, ...]
    loosened: Loosened | None
    prices: tuple[Price, ...]
    memory: tuple[str, ...]
    opinion: Opinion | None

    @property
    def supported(self) -> bool:
        """Whether the value of what was tightened may be told; true if nothing was."""
        if self.value is None:
            return True
        return self.value.verdict.supported and all(each.told for each in self.differences)


def what_if(
    rows: Rows, change: Change, question: Question, progress: Progress | None = None
) -> Answer:
    """Ask what a change of guardrails would do.

    Args:
        rows: decisions of one revision.
        change: of its rules.
        question: how to look at it.
        progress: as of `rerun`, which asks twice.

    Raises:
        LogError: the rules in force, asked again, do not give the logged masks; or the change
            depends on what a log does not have.
        UnknownNameError: there is no such world.
        ValueError: the world does not fit the workspace.
    """
    after = change.apply(rows.revision)
    check_hashed(rows.revision, after)
    if question.world:
        check_world(question.world, rows.revision, after, seed=question.seed)
    was = rerun(rows, rows.revision, progress)
    check_same(rows, was)
    now = rerun(rows, after, progress)
    segments = _segments(rows, question.by)
    q_hat = cross_fit(rows.log, exclude=hidden_features(rows.revision))
    taken = (was.allowed & ~now.allowed).any()
    tightened = _tighten(rows, was, now, question) if taken else None
    value, differences = None, tuple[Paired, ...]()
    if tightened is not None:
        target = rows.wide(tightened.target)
        value = _value(rows, target, q_hat, question.level)
        differences = tuple(
            paired(rows.log, target, rows.log.distribution, estimator=name, q_hat=q_hat,
                   level=question.level)
            for name in _ESTIMATORS
        )  # fmt: skip
    return Answer(
        rows, after, in_words(rows.revision, after),
        reach_of(rows, was, now, segments), rules_reach(rows, was, now, segments),
        tightened, value, differences, _loosen(rows, was, now, q_hat, question),
        _prices(rows, was, segments, question), _remembering(rows.revision, after),
        _opinion(rows, after, question),
    )  # fmt: skip


def _segments(rows: Rows, by: str) -> NDArray[np.object_]:
    if not by:
        return np.full(len(rows), ALL, dtype=np.object_)
    schema = rows.revision.workspace.customer
    return label(by, rows.log.contexts.tolist(), rows.log.at, schema)


def _tighten(rows: Rows, was: Rerun, now: Rerun, question: Question) -> Tightened:
    policies = policies_of(rows, question.snapshots, question.key)
    return tighten(rows, was.allowed & now.allowed, policies)


def _value(
    rows: Rows, target: NDArray[np.float64], q_hat: NDArray[np.float64], level: float
) -> Evaluation:
    return evaluate(
        rows.log, target, name="tightened", estimators=_ESTIMATORS, level=level, q_hat=q_hat,
        reward_range=declared_range(rows.revision), exclude=hidden_features(rows.revision),
    )  # fmt: skip


def _loosen(
    rows: Rows, was: Rerun, now: Rerun, q_hat: NDArray[np.float64], question: Question
) -> Loosened | None:
    freed = now.allowed & ~was.allowed  # (N, A)
    if not freed.any():
        return None
    precision = question.precision
    if precision is None:
        precision = max(_PRECISION * abs(float(rows.log.reward.mean())), 1e-9)
    models = predictions(rows, q_hat)
    return loosen(rows, freed, models, precision=precision, level=question.level)


def _prices(
    rows: Rows,
    was: Rerun,
    segments: NDArray[np.object_],
    question: Question,
) -> tuple[Price, ...]:
    if not question.prices:
        return ()
    return prices_of(rows, was, segments)


def _remembering(before: Revision, after: Revision) -> tuple[str, ...]:
    """List the rules, of either agent, that look at what was sent or used before."""
    rules: list[Compiled] = [
        rule for each in (before, after) for rule in (*each.guardrails, *each.rankings)
    ]
    found = [rule.name for rule in rules if rule.reads_contacts or rule.hears or rule.counters]
    return tuple(dict.fromkeys(found))


def _opinion(rows: Rows, after: Revision, question: Question) -> Opinion | None:
    if not question.world:
        return None
    return second_opinion(
        question.world, rows.revision, after, customers=question.customers, seed=question.seed,
        level=question.level,
    )  # fmt: skip
