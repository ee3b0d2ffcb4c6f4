"""Warm starts: a learner begins with what a logged history or another agent's learner knows."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from agents.errors import SnapshotError
from agents.revision import Revision
from policies.apprentice import join, split
from policies.base import Lesson, Policy
from policies.registry import create_policy, load_learner, load_policy
from policies.teaching.discount import Discounting
from policies.teaching.logged import Logged
from policies.teaching.teacher import Teacher


@dataclass(frozen=True, slots=True)
class Past:
    """A decision of a history, and what counted after it.

    Args:
        logged: the decision; positions rise from one to the next.
        outcomes: name and instant of each outcome that counted.
    """

    logged: Logged
    outcomes: tuple[tuple[str, datetime], ...]


class Warmed(NamedTuple):
    """What a history has taught: number of lessons, and the teacher's facts for a new log."""

    lessons: int
    teacher: Mapping[str, Any]


class _Coming(NamedTuple):
    at: datetime
    order: int
    logged: Logged
    outcome: str


@dataclass
class _Class:
    """One pass through a history."""

    policy: Policy
    revision: Revision
    known: dict[int, Logged] = field(default_factory=dict)
    coming: list[_Coming] = field(default_factory=list)
    lessons: int = 0
    order: int = 0

    def __post_init__(self) -> None:
        self.teacher = Teacher(self.revision, self.known.get)

    def hear(self, past: Past) -> None:
        """Learn what came before a decision, and the decision."""
        logged = past.logged
        self.pass_to(logged.decision.at, logged.position)
        self.learn(self.teacher.until(logged.decision.at))
        self.known[logged.position] = logged
        self.learn(self.teacher.decided(logged))
        for outcome, at in past.outcomes:
            self.order += 1
            heapq.heappush(self.coming, _Coming(at, self.order, logged, outcome))

    def pass_to(self, at: datetime | None, position: int) -> None:
        """Learn the outcomes up to an instant, or all; forget decisions that nothing waits for."""
        while self.coming and (at is None or self.coming[0].at <= at):
            next_ = heapq.heappop(self.coming)
            self.learn(self.teacher.until(next_.at))
            told = self.teacher.happened(next_.logged, next_.outcome, next_.at, position)
            self.learn(told)
        while at is not None and self.known:
            oldest = self.known[next(iter(self.known))]
            if oldest.decision.at + max(oldest.windows.values()) > at:
                break
            self.learn(self.teacher.until(at))
            del self.known[oldest.position]

    def learn(self, lessons: Iterator[Lesson]) -> None:
        for lesson in lessons:
            self.policy.update((lesson,))
            self.lessons += 1


def learn_history(policy: Policy, revision: Revision, history: Iterable[Past]) -> Warmed:
    """Teach a policy a history in the order of time, as if it had been there.

    Args:
        policy: built for the revision; taught in place.
        revision: in whose terms it learns; older revisions' actions that are gone are left out.
        history: decisions in the order of time. What is waiting at its end is left out.
    """
    pupil = _Class(policy, revision)
    position = 0
    for past in history:
        position = past.logged.position
        pupil.hear(past)
    pupil.pass_to(None, position + 1)
    return Warmed(pupil.lessons, pupil.teacher.anew())


def learn_lessons(policy: Policy, lessons: Iterable[Lesson]) -> Warmed:
    """Teach a policy of supplied actions: each lesson is whole, and nothing waits for another.

    Args:
        policy: taught in place.
        lessons: in the order in which they are learned.
    """
    count = 0
    for lesson in lessons:
        policy.update((lesson,))
        count += 1
    return Warmed(count, {})


def begin_from(source: Policy, revision: Revision) -> Policy:
    """Build the learner that a revision asks for, with what another agent's has learned.

    What both have by the same name is taken over: outcomes, offers, channels, windows, fields.

    Args:
        source: of the agent that `policy.warm_start` names.
        revision: of the agent that begins.

    Raises:
        SnapshotError: the other agent has a learner of another kind.
    """
    spec = revision.agent.policy
    share = 1.0 if spec.warm_start is None else spec.warm_start.share
    if source.name != spec.learner:
        raise SnapshotError(
            f"expected an agent with learner {spec.learner} to begin from, got {source.name}"
        )
    policy = load_learner(source.name, split(source.to_bytes())[0], revision)
    if share < 1.0 and isinstance(policy, Discounting):
        policy.discount(share)
    return load_policy(policy.name, policy.to_bytes(), revision)


def succeed(old: Policy, revision: Revision) -> Policy:
    """Build the learner that a revision asks for in another's place, beside an incumbent if any.

    Either keeps what one of its kind has learned here until now, as the learner or as the
    incumbent (if both, what it knew as the incumbent, which decided); else it begins untaught.
    """
    own, beside, decided = split(old.to_bytes())
    known = {old.name: own, beside: decided}
    untaught = create_policy(revision)
    state = known.get(untaught.name, split(untaught.to_bytes())[0])
    incumbent = revision.agent.policy.incumbent
    if incumbent is not None and incumbent.learner in known:
        state = join(state, incumbent.learner, known[incumbent.learner])
    return load_policy(untaught.name, state, revision)
