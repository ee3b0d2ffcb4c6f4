"""One agent's policy as the learner has it: the policy, its teacher, and how far both have read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from agents.revision import Revision
from policies.base import Policy
from policies.registry import load_policy
from policies.snapshot import Manifest
from policies.teaching.drip import Drip
from policies.teaching.warm import succeed
from policies.teaching.watch import Decided
from serving.learning.heard import Heard
from serving.learning.listener import Listener

D = TypeVar("D")
W = TypeVar("W", bound=Decided)
L = TypeVar("L")
T_co = TypeVar("T_co", covariant=True)


class Telling(Protocol[T_co]):
    """A teacher, as far as it matters not how it comes to its lessons."""

    silent: bool

    @property
    def since(self) -> int | None:
        """The position from which the log must be read again to know what is waiting."""

    def due(self, at: datetime) -> bool:
        """Say whether anything falls due by an instant."""

    def until(self, at: datetime) -> Iterator[T_co]:
        """Yield what the log's clock has made due when it comes to an instant."""

    def follow(self, other: Any) -> None:
        """Go on where another of its kind has come to."""

    def facts(self) -> dict[str, Any]:
        """Return the state as plain values for JSON."""

    def restore(self, facts: Mapping[str, Any]) -> int | None:
        """Take up `facts`; return the position from which the log is to be read again."""

    def known(self, position: int) -> object:
        """Return what is kept of a decision, None if nothing is."""

    def forget(self) -> None:
        """Drop what is kept of decisions that can be read again."""


class Pupil(ABC, Generic[D, L]):
    """Learns one agent.

    Args:
        listener: reads what is to be known of decisions again.
        revision: in force.
        policy: is taught.
        position: of the last entry of the log that changed anything.

    Attributes:
        published: the position of its newest snapshot.
        lessons: how many it has had.
        teacher: tells what is to be learned.
    """

    def __init__(
        self, listener: Listener, revision: Revision, policy: Policy, position: int
    ) -> None:
        self.listener, self.revision, self.policy = listener, revision, policy
        self.position = self.published = position
        self.lessons = 0
        self.teacher = self._teacher()

    @abstractmethod
    def _teacher(self) -> Telling[L]:
        """Return a teacher that knows nothing yet."""

    @abstractmethod
    def _own(self, heard: Heard, decided: D) -> Iterator[L]:
        """Yield what an entry teaches itself."""

    @abstractmethod
    def _understand(self, heard: Heard) -> D | None:
        """Return the decision that an entry is about, None if it is none of this agent's.

        Raises:
            LookupError: what is stored of it is no decision; likewise TypeError and ValueError.
        """

    @abstractmethod
    def _learn(self, lessons: Iterable[L]) -> None:
        """Learn all that is told; if the telling fails, what was told until then."""

    def settle(self) -> None:
        """Learn what was told and waits to be learned together with more."""

    def hear(self, heard: Heard) -> None:
        """Learn what an entry of the log teaches, and what its instant has made due."""
        if heard.position <= self.position:
            return  # learned before the snapshot from which it was taken up
        decided = self._understand(heard)
        if decided is not None or self.teacher.due(heard.at):
            self.position = heard.position
        self._learn(self.teacher.until(heard.at))
        if decided is not None:
            self._learn(self._own(heard, decided))

    def recollect(self, heard: Heard) -> None:
        """Read again what was learned before, to know what is waiting."""
        decided = self._understand(heard)
        if decided is not None:
            self.teacher.silent = True
            try:
                self._learn(self._own(heard, decided))
            finally:
                self.teacher.silent = False

    def state(self) -> bytes:
        """Return the policy's state after all that it was told."""
        self.settle()
        return self.policy.to_bytes()

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

    def under(self, revision: Revision) -> Policy:
        """Return its policy as it is to go on under another revision.

        How long outcomes take is known to every learner, so another one goes on with the same
        teacher.
        """
        state = self.state()
        if self.policy.name == revision.agent.policy.learner:
            return load_policy(self.policy.name, state, revision)
        return succeed(self.policy, revision)


class DripPupil(Pupil[W, L]):
    """Learns rates of outcomes, as they are heard and as time passes without them."""

    teacher: Drip[W, L]

    @abstractmethod
    def _read(self, position: int) -> W | None:
        """Read a decision again, None if it is gone."""

    def _own(self, heard: Heard, decided: W) -> Iterator[L]:
        """Yield what an entry teaches itself."""
        if heard.withdrawn is not None:
            yield from self.teacher.withdrawn(decided, heard.withdrawn)
        elif heard.outcomes is None:
            yield from self.teacher.decided(decided)
        for outcome in heard.outcomes or ():
            yield from self.teacher.happened(decided, outcome, heard.at, heard.position)
        for each in heard.lost:
            yield from self.teacher.retracted(
                decided, each.outcome, each.at, remaining=each.remaining
            )
