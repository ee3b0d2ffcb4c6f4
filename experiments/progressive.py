"""Progressive validation: what a learner would have answered, had it learned as the log went on.

Each decision is answered first and learned from afterwards, so no answer knows what it is judged
by. The result is a target like any other, with one difference: it is the value of learning from
the beginning to the end of the log, early mistakes included. It ranks learners and their settings;
what a learner would earn that chooses its own decisions is not known from another's log.

Source: Blum, Kalai and Langford, COLT 1999; Dudik et al., UAI 2012.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from agents.revision import Revision
from experiments.estimators import Estimator, find_estimator
from experiments.logs import LoggedDecisions
from experiments.tally import Tally, clusters_of
from experiments.targets.answering import mixed
from experiments.targets.rows import Reader
from experiments.weighing import Weighed
from policies.base import Policy

Floats = NDArray[np.float64]
_CLIP = 20.0


@dataclass(frozen=True)
class Progress:
    """What a learner answered at every decision of a log, before it learned from it.

    Args:
        log: the decisions, as they were given.
        target: (N, A) probabilities, floor included.
        q_hat: (N, A) expected reward of each action as the learner saw it then, in currency; None
            if it has no such values. It has seen earlier decisions only, so DR may use it.
        lessons: how many decisions were learned from before the last one was answered.
    """

    log: LoggedDecisions
    target: Floats
    q_hat: Floats | None
    lessons: int

    @property
    def estimator(self) -> Estimator:
        """DR with weights clipped at 20, or clipped IPS if the learner expects no values."""
        return find_estimator(f"{'clip' if self.q_hat is None else 'cdr'}={_CLIP:g}")

    def tally(self, estimator: Estimator | None = None) -> Tally:
        """Return the value over the whole log, by `estimator` or another, by customer."""
        clusters, size = clusters_of(self.log.customer)
        pieces = (estimator or self.estimator).pieces(Weighed(self.log, self.target, self.q_hat))
        return Tally.of(pieces.standing_for(self.log.stands), clusters, size)

    def curve(self, blocks: int = 10) -> tuple[Tally, ...]:
        """Return the value in blocks of time of about the same size: whether it got better.

        Raises:
            ValueError: fewer than one block, or fewer than two decisions for each.
        """
        if not 1 <= blocks <= len(self.log) // 2:
            raise ValueError(f"expected 1 to {len(self.log) // 2} blocks, got {blocks}")
        order = np.argsort(self.log.at, kind="stable")
        return tuple(self._part(rows).tally() for rows in np.array_split(order, blocks))

    def _part(self, rows: NDArray[np.intp]) -> Progress:
        kept = np.zeros(len(self.log), dtype=np.bool_)  # (N,)
        kept[rows] = True
        q_hat = None if self.q_hat is None else self.q_hat[kept]
        return Progress(self.log.where(kept), self.target[kept], q_hat, self.lessons)


def progress(
    log: LoggedDecisions,
    revisions: Mapping[str, Revision],
    policy_for: Callable[[Revision], Policy],
    *,
    wait: timedelta | None = None,
) -> Progress:
    """Let a learner answer every decision of a log in the order of time, and learn from it.

    A decision is learned from whole, once all its outcome windows have ended: when its outcomes
    came is not looked at, so none is known too early. A new revision takes over what was learned.

    Args:
        log: decisions of one agent, those of the treatment and random groups.
        revisions: by id, at least those that the log names.
        policy_for: builds the untaught learner for the first revision.
        wait: how long after a decision it is learned from, in place of the longest window of its
            revision. Zero learns at once, as if all outcomes came at once: a rosier picture.

    Raises:
        LogError: no decisions, a revision that is not given, or one whose actions differ.
        ValueError: a wait below zero.
    """
    if wait is not None and wait < timedelta(0):
        raise ValueError(f"wait: expected zero or more, got {wait}")
    if not len(log):
        raise LogError("expected at least one decision, got none")
    order = np.argsort(log.at, kind="stable")
    reader = Reader(log, revisions)
    course = _Course(log, reader, policy_for(reader.revision(int(order[0]))), wait)
    for row in order.tolist():
        course.meet(row)
    known = bool(np.isfinite(course.expected[log.allowed]).all())
    q_hat = np.where(log.allowed, course.expected, 0.0) if known else None  # (N, A)
    return Progress(log, course.target, q_hat, course.lessons)


@dataclass
class _Course:
    """The moving parts: the learner, and the decisions that wait to be learned from."""

    log: LoggedDecisions
    reader: Reader
    policy: Policy
    wait: timedelta | None
    current: str = ""
    lessons: int = 0
    waiting: list[tuple[np.datetime64, int]] = field(default_factory=list)  # a heap

    def __post_init__(self) -> None:
        self.target = np.zeros_like(self.log.distribution)  # (N, A)
        self.expected = np.full_like(self.log.distribution, np.nan)  # (N, A)

    def meet(self, row: int) -> None:
        """Learn what is known by now, answer one decision, and keep it for later."""
        revision = self._take_over(row)
        self._learn(self.log.at[row], revision)
        columns = self.reader.offered(row, revision)  # (own A,)
        free = self.reader.free(row, revision)  # (own A,)
        answer = self.policy.distribution(self.reader.context(row), self.reader.mask(row, revision))
        self.target[row, columns] = mixed(revision, answer.probabilities, free)
        self.expected[row, columns] = answer.expected
        windows = [outcome.window for outcome in revision.agent.outcomes.values()]
        wait = max(windows) if self.wait is None else self.wait
        heapq.heappush(self.waiting, (self.log.at[row] + np.timedelta64(wait), row))

    def _take_over(self, row: int) -> Revision:
        revision = self.reader.revision(row)
        if self.current not in ("", revision.id):
            self.policy = type(self.policy).from_bytes(self.policy.to_bytes(), revision)
        self.current = revision.id
        return revision

    def _learn(self, now: np.datetime64, revision: Revision) -> None:
        lessons = []
        while self.waiting and self.waiting[0][0] <= now:
            lesson = self.reader.lesson(heapq.heappop(self.waiting)[1], revision)
            lessons += [] if lesson is None else [lesson]
        if lessons:
            self.policy.update(lessons)
            self.lessons += len(lessons)
