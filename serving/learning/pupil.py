"""One agent's policy as the learner has it: the policy, its teacher, and how far both have read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from agents.revision import Revision
from policies.base import Lesson, Policy
from policies.registry import load_policy
from policies.snapshot import Manifest
from policies.teaching.logged import Logged
from policies.teaching.teacher import Teacher
from policies.teaching.warm import succeed


class Lost(NamedTuple):
    """An outcome that was taken back: when it was said to have happened, how many still count."""

    outcome: str
    at: datetime
    remaining: int


class Heard(NamedTuple):
    """An entry of the log that may teach something, whichever agent's.

    Args:
        position: of the entry.
        at: its instant.
        logged: the decision that was made, or that something followed; None if that is no matter.
        outcomes: the outcomes that count once more; None for a decision.
        lost: the outcomes that count once less.
        withdrawn: of a contact that was not made after all, by outcome how many counted until
            now, and when the first heard of them happened; None if it was made.
    """

    position: int
    at: datetime
    logged: Logged | None
    outcomes: tuple[str, ...] | None = None
    lost: tuple[Lost, ...] = ()
    withdrawn: Mapping[str, tuple[int, datetime]] | None = None


@dataclass(slots=True)
class Pupil:
    """Learns one agent.

    Args:
        position: of the last entry of the log that changed anything.
        published: the position of its newest snapshot.
    """

    revision: Revision
    policy: Policy
    teacher: Teacher
    position: int
    published: int
    lessons: int = 0

    @classmethod
    def resumed(
        cls, manifest: Manifest, state: bytes, revision: Revision, teacher: Teacher
    ) -> Pupil:
        """Take up a snapshot; what is waiting is still to be read again."""
        policy = load_policy(manifest.policy, state, revision)
        position = manifest.position
        return cls(revision, policy, teacher, position, position, manifest.lessons)

    def hear(self, heard: Heard) -> None:
        """Learn what an entry of the log teaches, and what its instant has made due."""
        if heard.position <= self.position:
            return  # learned before the snapshot from which it was taken up
        logged = heard.logged
        own = logged is not None and logged.decision.agent == self.revision.agent.agent
        if own or self.teacher.due(heard.at):
            self.position = heard.position
        self._learn(self.teacher.until(heard.at))
        self._learn(self._own(heard))

    def recollect(self, entries: Iterable[Heard]) -> None:
        """Read again what was learned before, to know what is waiting."""
        self.teacher.silent = True
        for heard in entries:
            self._learn(self._own(heard))
        self.teacher.silent = False

    def revise(self, revision: Revision, position: int) -> None:
        """Go on under another revision with the same learner."""
        self.policy = load_policy(self.policy.name, self.policy.to_bytes(), revision)
        self.revision = self.teacher.revision = revision
        self.position = position

    def succeed(self, revision: Revision, position: int) -> None:
        """Go on with another learner; how long outcomes take is known to all of them."""
        self.policy = succeed(self.policy, revision)
        self.revision = self.teacher.revision = revision
        self.position, self.lessons = position, 0

    def manifest(self, state: bytes) -> Manifest:
        """Describe the policy's state."""
        return Manifest.of(
            state,
            policy=self.policy.name,
            agent=self.revision.agent.agent,
            revision=self.revision.id,
            position=self.position,
            lessons=self.lessons,
            teacher=self.teacher.facts(),
        )

    def _own(self, heard: Heard) -> Iterator[Lesson]:
        """Yield what an entry teaches itself, if it is this agent's."""
        logged = heard.logged
        if logged is None or logged.decision.agent != self.revision.agent.agent:
            return
        if heard.withdrawn is not None:
            yield from self.teacher.withdrawn(logged, heard.withdrawn)
        elif heard.outcomes is None:
            yield from self.teacher.decided(logged)
        for outcome in heard.outcomes or ():
            yield from self.teacher.happened(logged, outcome, heard.at, heard.position)
        for each in heard.lost:
            yield from self.teacher.retracted(
                logged, each.outcome, each.at, remaining=each.remaining
            )

    def _learn(self, lessons: Iterable[Lesson]) -> None:
        """Learn all that is told, at once; if the telling fails, what was told until then."""
        told: list[Lesson] = []
        try:
            told.extend(lessons)
        finally:  # the teacher never tells it again
            if told:
                self.policy.update(told)
                self.lessons += len(told)
