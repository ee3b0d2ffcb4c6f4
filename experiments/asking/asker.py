"""Everything that is asked of one log at once, with what all questions share worked out once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.groups import Group
from agents.revision import Revision
from agents.spec import Holdout
from experiments.asking.differences import LOGGED, Difference, differences
from experiments.asking.parts import Part, parts_of
from experiments.asking.segments import Segments, by_segment
from experiments.diagnostics import Health
from experiments.estimators import find_estimator
from experiments.evaluate import DEFAULT_INTERVAL, Evaluation, Question, declared_range
from experiments.evaluating import check_question
from experiments.intervals import Bounds, Interval
from experiments.lift import expected_holdout
from experiments.logs import LoggedDecisions
from experiments.revisions import currency_of, hidden_features
from experiments.reward_models.ridge import cross_fit
from experiments.reward_models.robust import fit_robust
from experiments.targets.asked import Probabilities, Target
from experiments.targets.loggers import mixture_of
from experiments.targets.named import NAMED
from experiments.weighing import Weighed


class Rows(StrEnum):
    """Which decisions the values are computed from."""

    RANDOM = "random"
    TREATMENT = "treatment"
    ALL = "all"

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups that are kept; control decisions never tell the value of another policy."""
        if self is Rows.ALL:
            return (Group.TREATMENT, Group.RANDOM)
        return (Group(self.value),)


@dataclass(frozen=True)
class Answer:
    """All that was found.

    Args:
        evaluations: one a policy.
        differences: of all pairs, and of each to the logged policy.
        segments: one for each field or expression that was asked for.
        parts: by offer and by channel.
        targets: (N, A) probabilities by name.
    """

    evaluations: tuple[Evaluation, ...]
    differences: tuple[Difference, ...] = ()
    segments: tuple[Segments, ...] = ()
    parts: tuple[Part, ...] = ()
    targets: Mapping[str, NDArray[np.float64]] | None = None

    @property
    def supported(self) -> bool:
        """Whether every policy's value is."""
        return all(each.verdict.supported for each in self.evaluations)


@dataclass(frozen=True)
class Asker:
    """What every policy on the command line is valued with.

    Args:
        log: closed decisions of all groups.
        rows: those that values are computed from.
        revisions: by id, as far as they stand beside the log.
        estimators: names.
        level: of the intervals.
        key: file of the key that snapshots are signed with.
        interval: around each estimate.
        forced: whether numbers are told below the limits too.
        loggers: the policies that wrote the log, by name; empty if balanced weights are not asked.
    """

    log: LoggedDecisions
    rows: LoggedDecisions
    revisions: Mapping[str, Revision]
    estimators: Sequence[str]
    level: float
    key: Path | None
    interval: Interval = DEFAULT_INTERVAL
    forced: bool = False
    loggers: Mapping[str, Probabilities] = field(default_factory=dict)

    @property
    def newest(self) -> Revision | None:
        """The revision of the last decision, if it is known."""
        return self.revisions.get(str(self.log.revision[np.argmax(self.log.at)]))

    @property
    def currency(self) -> str:
        """Three letters, or a word in their place if no revision is known."""
        return currency_of(self.newest)

    @property
    def holdout(self) -> Holdout | None:
        """The shares by which all customers were assigned; None if unknown, or if they changed."""
        known = [self.revisions.get(name) for name in set(self.log.revision.tolist())]
        declared = {
            None if found is None else expected_holdout(found.workspace, found.agent)
            for found in known
        }
        return declared.pop() if len(declared) == 1 else None

    def ask(
        self, targets: Sequence[Target], by: Sequence[str] = (), *, parts: bool = False
    ) -> Answer:
        """Value policies, hold them against each other, and take them apart.

        Args:
            targets: at least one.
            by: fields or expressions whose segments are asked for.
            parts: whether to take each policy apart by offer and channel.

        Raises:
            LogError: as `experiments.evaluate.evaluate`.
        """
        questions = {target.name: self._question(target) for target in targets}
        found = tuple(self._answer(name, question) for name, question in questions.items())
        verdicts = {each.target: each.verdict for each in found}
        beside = {name: each for name, each in questions.items() if each.shares}
        if LOGGED not in questions:
            beside = beside | {LOGGED: self._question(Target(LOGGED, NAMED[LOGGED]))}
            own = beside[LOGGED].answer(LOGGED, self.estimators)
            verdicts = verdicts | {LOGGED: own.verdict}
        supported = {name: each.supported for name, each in verdicts.items()}
        comparable = {name: each.comparable for name, each in verdicts.items()}
        told = {name: each for name, each in beside.items() if supported[name] or self.forced}
        return Answer(
            found,
            differences(beside, self.estimators, comparable, forced=self.forced),
            tuple(
                by_segment(
                    told, each, revision=self.newest, estimators=self.estimators,
                    forced=self.forced,
                )
                for each in (by if told else ())
            ),
            tuple(
                part
                for name, question in (beside.items() if parts else ())
                if name in questions
                for part in parts_of(name, question, supported=supported[name], forced=self.forced)
            ),
            {name: question.rows.target for name, question in questions.items()},
        )  # fmt: skip

    def _answer(self, name: str, question: Question) -> Evaluation:
        """Value one policy; one that shares no decision with the log has no estimates at all."""
        asked = self.estimators if question.shares else ()
        return question.answer(name, asked, forced=self.forced)

    def _question(self, target: Target) -> Question:
        p = target.probabilities(self.rows)  # (N, A)
        check_question(self.rows, p)
        wanted = "mrdr" in self.estimators
        robust = fit_robust(self.rows, p, exclude=self._hidden) if wanted else None  # (N, A)
        rows = Weighed(self.rows, p, self._q_hat, self._mixture, robust)
        return Question(rows, self.level, self.interval, self._range, self._health)

    @cached_property
    def _mixture(self) -> NDArray[np.float64] | None:
        if not self.loggers:
            return None
        answers = {name: each(self.rows) for name, each in self.loggers.items()}
        return mixture_of(self.rows, answers)  # (N,)

    @cached_property
    def _hidden(self) -> frozenset[str]:
        return hidden_features(self.newest) if self.newest else frozenset()

    @cached_property
    def _range(self) -> Bounds | None:
        return declared_range(self.newest) if self.newest else None

    @cached_property
    def _health(self) -> Health:
        return Health.of(self.rows, self._hidden)

    @cached_property
    def _q_hat(self) -> NDArray[np.float64] | None:
        if not any(find_estimator(each).needs_model for each in self.estimators):
            return None
        return cross_fit(self.rows, exclude=self._hidden)  # (N, A)
