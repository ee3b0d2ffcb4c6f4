"""The pupil of a loop: a decision is learned once, when its window has ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agents.corrections import Correction
from agents.decisions import Decision, OutcomeEvent
from agents.errors import LogError
from agents.groups import Group
from agents.rewards import closes_at
from agents.units import parse_instant
from policies.base import Lesson
from policies.registry import is_idle
from policies.teaching.wait import Ended, Wait, Waiting
from serving.learning.heard import Body, Heard
from serving.learning.pupil import Pupil
from serving.ledger import Entry
from serving.ledger.deliveries import GIVEN_BACK


def _nothing(_position: int) -> None:
    """Recall nothing: what learns nothing need not read a decision again."""


class WaitPupil(Pupil[Waiting, Lesson]):
    """Learns the reward of each decision; the decision is read again when its window has ended."""

    teacher: Wait

    def _teacher(self) -> Wait:
        return Wait(_nothing if is_idle(self.revision) else self._ended)

    def _ended(self, position: int) -> Ended | None:
        body = self.listener.body(position)
        if body is None:
            return None
        decision = Decision.from_record(self.listener.ledger.whole(body))
        return Ended(decision, self.listener.revision(decision.revision))

    def _understand(self, heard: Heard) -> Waiting | None:
        if heard.decision is None:
            return None
        if heard.outcomes is not None or heard.told is None:
            return self.teacher.known(heard.decision)
        if not heard.told.by(self.revision.agent.agent):
            return None
        return self._waiting(heard.decision, heard.told.body)

    def _waiting(self, position: int, body: Body) -> Waiting | None:
        """Return what is to be waited for, None if the decision teaches nothing."""
        shown = body["action"] != 0 and body.get("supplied") is not None
        if not shown or not Group(body["group"]).teaches:
            return None
        agent = self.listener.revision(body["revision"]).agent
        closes = closes_at(agent, parse_instant(body["at"]))
        return Waiting(position, closes, deferred=bool(body.get("deferred")))

    def _learn(self, lessons: Iterable[Lesson]) -> None:
        for lesson in lessons:  # each was read for itself; the teacher never tells it again
            self.policy.update((lesson,))
            self.lessons += 1

    def _own(self, heard: Heard, decided: Waiting) -> Iterator[Lesson]:
        entry = heard.entry
        if entry is None:
            raise LogError(f"expected the entry at {heard.position}, got none")
        match entry.kind:
            case "decision":
                yield from self.teacher.decided(decided)
            case "outcome":
                event = OutcomeEvent.from_record(entry.body["event"])
                self.teacher.happened(decided.position, event)
            case "correction":
                correction = Correction.from_record(entry.body["correction"])
                self.teacher.adjusted(decided.position, correction)
            case _:
                yield from self._delivery(entry, decided)

    def _delivery(self, entry: Entry, decided: Waiting) -> Iterator[Lesson]:
        if entry.body["state"] in GIVEN_BACK:
            self.teacher.withdrawn(decided.position)
        else:
            yield from self.teacher.activated(decided.position)
