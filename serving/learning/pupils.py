"""The kinds of pupils: of learners that take lessons, that take tables, and of loops."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import numpy as np

from agents.context import Context
from agents.decisions import Decision, read_context
from agents.errors import UnknownNameError
from agents.groups import Group
from agents.revision import Revision
from agents.units import parse_instant
from policies.base import Lesson, Policy
from policies.registry import is_idle
from policies.teaching.labels import TableLearner
from policies.teaching.logged import Logged
from policies.teaching.notes import Note, Noted, NoteDrip, tables_of
from policies.teaching.teacher import Teacher
from serving.learning.heard import Body, Heard
from serving.learning.listener import Listener
from serving.learning.pupil import DripPupil
from serving.learning.wait_pupil import WaitPupil

_TOGETHER = 5_000  # lessons that are learned at once, at the most


class LessonPupil(DripPupil[Logged, Lesson]):
    """Learns entry by entry; decisions are read again from the ledger."""

    def _teacher(self) -> Teacher:
        return Teacher(self.revision, self._read)

    def _read(self, position: int) -> Logged | None:
        body = self.listener.body(position)
        return None if body is None else self._logged(position, body)

    def _understand(self, heard: Heard) -> Logged | None:
        told = heard.told
        if told is None or not told.by(self.revision.agent.agent):
            return None
        return self._logged(told.position, told.body)

    def _logged(self, position: int, body: Body) -> Logged:
        decision = Decision.from_record(self.listener.ledger.whole(body))
        return Logged(position, decision, self.listener.windows(decision.revision))

    def _learn(self, lessons: Iterable[Lesson]) -> None:
        told: list[Lesson] = []
        try:
            told.extend(lessons)
        finally:  # the teacher never tells it again
            if told:
                self.policy.update(told)
                self.lessons += len(told)


class TablePupil(DripPupil[Note, Noted]):
    """Learns many entries together; of decisions whose windows are open, notes are kept."""

    def __init__(
        self, listener: Listener, revision: Revision, policy: Policy, position: int
    ) -> None:
        super().__init__(listener, revision, policy, position)
        self._told: list[Noted] = []

    def _teacher(self) -> NoteDrip:
        return NoteDrip(self.revision, self._read)

    def _read(self, position: int) -> Note | None:
        body = self.listener.body(position)
        return None if body is None else self._note(position, body)

    def _understand(self, heard: Heard) -> Note | None:
        told = heard.told
        known = None if told is None else self.teacher.known(told.position)
        if told is None or known is not None or not told.by(self.revision.agent.agent):
            return known
        return self._note(told.position, told.body)

    def _note(self, position: int, body: Body) -> Note:
        at = parse_instant(body["at"])
        return Note(
            position, at, Group(body["group"]).teaches, self.listener.windows(body["revision"]),
            self._action(body), self._looks(body),
        )  # fmt: skip

    def _looks(self, body: Body) -> bytes:
        """Return what the learner sees of a decision, as a note has it."""
        encoder = cast("TableLearner", self.policy).encoder
        context: Context = read_context(body, customer="", at=parse_instant(body["at"]))
        return np.array(encoder.unscaled_of(context)).tobytes()

    def _action(self, body: Body) -> int:
        """Return the position that the drawn action has now, -1 if it is gone."""
        names = body.get("actions") or self.listener.ledger.action_ids(body["revision"])
        try:
            return self.revision.index(names[body["action"]])
        except UnknownNameError:
            return -1

    def _learn(self, lessons: Iterable[Noted]) -> None:
        for each in lessons:
            self._told.append(each)
            self.lessons += 1
            if len(self._told) >= _TOGETHER:  # after a long silence, much falls due at once
                self.settle()

    def settle(self) -> None:
        """Learn what was told and waits to be learned together with more."""
        told, self._told = self._told, []
        if told:
            tables = tables_of(told, tuple(self.revision.agent.outcomes))
            cast("TableLearner", self.policy).learn_table(*tables)


class IdlePupil(TablePupil):
    """Of a policy that learns nothing: only how long outcomes take is noted, for who comes after.

    A note of a decision needs nothing of what it looked like, so none is read again.
    """

    def _looks(self, body: Body) -> bytes:
        del body
        return b""

    def settle(self) -> None:
        """Forget what was told."""
        self._told.clear()


AnyPupil = LessonPupil | TablePupil | WaitPupil


def pupil_of(listener: Listener, revision: Revision, policy: Policy, position: int) -> AnyPupil:
    """Return a pupil for a policy, of the kind that suits it; arguments as of `Pupil`."""
    if revision.agent.supplied is not None:
        return WaitPupil(listener, revision, policy, position)
    return _kind(revision, policy)(listener, revision, policy, position)


def _kind(revision: Revision, policy: Policy) -> type[LessonPupil] | type[TablePupil]:
    if is_idle(revision):
        return IdlePupil
    return TablePupil if isinstance(policy, TableLearner) else LessonPupil


def follow(pupil: AnyPupil, before: AnyPupil) -> None:
    """Let a pupil's teacher go on where that of another has come to, if it is of its kind."""
    if isinstance(pupil, WaitPupil):
        if isinstance(before, WaitPupil):
            pupil.teacher.follow(before.teacher)
    elif not isinstance(before, WaitPupil):
        pupil.teacher.follow(before.teacher)
