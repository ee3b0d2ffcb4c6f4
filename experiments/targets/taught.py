"""Learned policies: valued as they would have learned through the log, block by block.

The log is cut by time into blocks. Each decision is weighted by the learner as it was when its
block began: taught by earlier decisions alone, and only by those whose outcome windows had ended
by then. The state moves on from block to block, as a learner's in service does; with two blocks it
is taught once and then stands still. So no answer knows what it is judged by; that holds too where
the logging policy learned, since a decision's probabilities can carry what came before it, and
never what comes after. Leaving one block out and learning from all others would not do: later
propensities carry earlier outcomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from agents.groups import Group
from agents.revision import Revision
from experiments.logs import LoggedDecisions
from experiments.targets.answering import policy_target
from experiments.targets.learner import Learner
from experiments.targets.rows import Reader
from policies.base import Lesson, Policy

Floats = NDArray[np.float64]
_AT_A_TIME = 1_024  # lessons that a learner is given at once

BLOCKS = 8
"""Into how many parts of time a log is cut: a learner is at most an eighth of the log behind."""


@dataclass(frozen=True)
class Lessons:
    """Where learners learn, and where they are judged.

    Args:
        log: all closed decisions; those of control teach nothing.
        cuts: (B - 1,) instants at which blocks 1 to B - 1 begin; block 0 only teaches. Blocks in
            which nothing had closed yet belong to it.
        wait: how long after a decision it is learned from, in place of the longest window of its
            revision. Zero learns as if outcomes came at once, for logs shorter than windows.
    """

    log: LoggedDecisions
    cuts: NDArray[np.datetime64]
    wait: timedelta | None = None

    @classmethod
    def of(
        cls,
        log: LoggedDecisions,
        rows: LoggedDecisions,
        blocks: int = BLOCKS,
        wait: timedelta | None = None,
        revisions: Mapping[str, Revision] | None = None,
    ) -> Lessons:
        """Cut a log so that each block has about as many of the decisions that are judged.

        Args:
            log: all closed decisions.
            rows: those of the groups that are judged.
            blocks: at least 2.
            wait: see above.
            revisions: by id, whose windows say when the first decision had closed; without them no
                block joins the first.

        Raises:
            ValueError: fewer than 2 blocks.
            LogError: all decisions were made at one instant, or some were dropped: what is left
                converts more often than what was decided.
        """
        if blocks < 2:
            raise ValueError(f"--blocks: expected 2 or more, got {blocks}")
        log.unthinned("a policy that learns")
        at = np.sort(rows.at)  # (N,)
        cuts = np.unique(at[[len(at) * k // blocks for k in range(1, blocks)]])
        cuts = cuts[cuts > at[0]]
        if not len(cuts):
            raise LogError(
                f"expected decisions at different times to learn and to judge on, got {len(at):,}"
                f" decisions of which most were made at {at[0]}"
            )
        teaching = log.in_groups(Group.TREATMENT, Group.RANDOM)
        found = cls(teaching, cuts, wait)
        if revisions is None:
            return found
        begins = found.closing(Reader(teaching, revisions)).min()
        late = cuts[cuts > begins]
        return replace(found, cuts=late if len(late) else cuts[-1:])

    def closing(self, reader: Reader) -> NDArray[np.datetime64]:
        """Return when each decision of the log may be learned from; (N,) instants.

        Args:
            reader: of `log`.
        """
        waits: dict[str, np.timedelta64] = {}
        for row, name in enumerate(self.log.revision.tolist()):
            if name not in waits:
                waits[name] = np.timedelta64(_wait(self, reader.revision(row)))
        each = np.array([waits[name] for name in self.log.revision.tolist()])  # (N,)
        return np.asarray(self.log.at + each, dtype="datetime64[us]")

    def judged(self, rows: LoggedDecisions) -> LoggedDecisions:
        """Return the decisions that learners are judged on: those of all blocks but the first."""
        return rows.where(np.asarray(rows.at >= self.cuts[0]))


def taught_target(
    rows: LoggedDecisions,
    lessons: Lessons,
    revisions: Mapping[str, Revision],
    learner: Learner,
) -> Floats:
    """Return what a learner would have answered in each block, taught by earlier ones.

    It costs one teaching of the log, however many blocks there are, and one answer a decision.

    Args:
        rows: as of `Lessons.judged`; N decisions.
        lessons: where it learns.
        revisions: by id, at least those that the log names.
        learner: which one, with what settings.

    Returns:
        (N, A) probabilities, floor included.

    Raises:
        LogError: a revision that is not given, or nothing had closed when the first block began.
    """
    pupil = _Pupil(lessons, Reader(lessons.log, revisions), learner)
    reader = Reader(rows, revisions)
    target = np.zeros_like(rows.distribution)  # (N, A)
    block = np.searchsorted(lessons.cuts, rows.at, side="right") - 1  # (N,)
    for number, cut in enumerate(lessons.cuts):
        pupil.learn_until(cut)
        mine = np.flatnonzero(block == number)
        names = rows.revision[mine].astype(str)
        for name in np.unique(names).tolist():
            here = mine[names == name]
            revision = learner.adapted(reader.revision(int(here[0])))
            policy_target(reader, here, revision, pupil.under(revision), target)
    return target


class _Pupil:
    """A learner on its way through the log, in the order in which decisions close."""

    def __init__(self, lessons: Lessons, reader: Reader, learner: Learner) -> None:
        self._reader, self._learner, log = reader, learner, reader.log
        self._ready = lessons.closing(reader)  # (N,)
        self._order = np.lexsort((log.at, self._ready))  # (N,)
        self._next = 0
        self._policy: Policy | None = None
        self._revision = ""

    def learn_until(self, cut: np.datetime64) -> None:
        """Learn what had closed before an instant.

        Raises:
            LogError: there was nothing.
        """
        until = int(np.searchsorted(self._ready[self._order], cut, side="left"))
        if until == 0:
            raise LogError(
                f"expected decisions whose outcome windows had ended at {cut} to learn from, got"
                f" none; the log begins at {self._reader.log.at.min()}: use a longer one; with"
                " `evaluate`, --at-once learns as if outcomes came at once"
            )
        waiting: list[Lesson] = []
        for row in self._order[self._next : until].tolist():
            revision = self._learner.adapted(self._reader.revision(row))
            if revision.id != self._revision or len(waiting) >= _AT_A_TIME:
                self._give(waiting)
                waiting = []
                self._policy, self._revision = self.under(revision), revision.id
            lesson = self._reader.lesson(row, revision)
            waiting += [] if lesson is None else [lesson]
        self._give(waiting)
        self._next = until

    def under(self, revision: Revision) -> Policy:
        """Return the learner as it is now, under an adapted revision."""
        if self._policy is None:
            return self._learner.create(revision)
        if revision.id == self._revision:
            return self._policy
        return type(self._policy).from_bytes(self._policy.to_bytes(), revision)

    def _give(self, lessons: list[Lesson]) -> None:
        if lessons and self._policy is not None:
            self._policy.update(lessons)


def _wait(lessons: Lessons, revision: Revision) -> timedelta:
    if lessons.wait is not None:
        return lessons.wait
    return max(outcome.window for outcome in revision.agent.outcomes.values())
