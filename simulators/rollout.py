"""Rollouts: a policy lives through a world without HTTP, on the same path as the server."""

from __future__ import annotations

import heapq
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.context import Context
from agents.decisions import Decision, OutcomeEvent
from agents.groups import Group
from agents.memory import Memory
from agents.rewards import closes_at
from policies.base import Lesson, Policy
from policies.decide import choose, decide, hold_out
from policies.teaching.logged import Logged, windows_of
from policies.teaching.teacher import Teacher
from simulators.results import Rollout
from simulators.world import Happening, World

Progress = Callable[[int], None]

_SECRET = b"simulation"


class _Due(NamedTuple):
    """One thing that is to happen: a customer is met, or something is reported."""

    at: datetime
    order: int  # breaks ties, so that nothing else is ever compared
    customer: int
    round_index: int
    decision: int = -1  # position of the decision that a report follows
    happening: Happening | None = None  # None for an opportunity


def rollout(
    world: World,
    policy: Policy,
    *,
    secret: bytes = _SECRET,
    group: Group | None = None,
    learn: bool = True,
    batch: int = 32,
    every: timedelta | None = None,
    customers: Iterable[int] | None = None,
    progress: Progress | None = None,
) -> Rollout:
    """Let a policy decide for every customer in every round, in the order of time.

    The world begins anew. Decisions and outcomes are merged by time; a decision is learned when
    it is made and an outcome when it arrives, never earlier, and only of groups that teach, by the
    same teacher as the server's. At last, time goes on to the end of all outcome windows.

    Args:
        world: bound to the revision that decides.
        policy: built for the world's revision; it is taught in place if `learn`.
        secret: fixes the draws.
        group: puts every customer in this group, for a counterfactual; None assigns by hash.
        learn: whether to teach the policy.
        batch: lessons learned together, at least 1; more is faster and learns a little later.
        every: learns at the end of every such span from the world's start instead, however many
            lessons there are, as `simulators.offline.play` does.
        customers: whom to meet; None meets all.
        progress: called with the number of decisions made so far.

    Raises:
        ValueError: a batch below 1, a span not above 0, or customers that `World.positions`
            refuses.

    Example:
        >>> from policies.uniform import Uniform
        >>> from simulators.examples import example_revision
        >>> from simulators.worlds import create_world
        >>> world = create_world("retention", example_revision(), customers=5, rounds=2)
        >>> rollout(world, Uniform()).expected.shape
        (10, 25)
    """
    if batch < 1:
        raise ValueError(f"batch: expected at least 1, got {batch}")
    if every is not None and every <= timedelta(0):
        raise ValueError(f"every: expected a span above 0, got {every}")
    lessons = _Lessons(policy, batch if every is None else sys.maxsize) if learn else None
    run = _Run(world, policy, secret, group, lessons, every)
    run.play(world.positions(customers), progress or _ignore)
    return run.result()


def _ignore(done: int) -> None:
    del done


@dataclass
class _Lessons:
    """Gathers lessons and teaches them in their order, `batch` at a time."""

    policy: Policy
    batch: int
    waiting: list[Lesson] = field(default_factory=list)

    def learn(self, lessons: Iterable[Lesson]) -> None:
        for lesson in lessons:
            self.waiting.append(lesson)
            if len(self.waiting) >= self.batch:
                self.flush()

    def flush(self) -> None:
        if self.waiting:
            self.policy.update(self.waiting)
        self.waiting = []


@dataclass
class _Run:
    """The moving parts of one rollout."""

    world: World
    policy: Policy
    secret: bytes
    group: Group | None
    lessons: _Lessons | None
    every: timedelta | None = None
    decisions: list[Decision] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)
    expected: list[NDArray[np.float64]] = field(default_factory=list)
    events: list[OutcomeEvent] = field(default_factory=list)
    heard: set[str] = field(default_factory=set)
    memory: Memory = field(default_factory=Memory)
    due: list[_Due] = field(default_factory=list)
    order: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.windows = windows_of(self.world.revision)
        self.teacher = Teacher(self.world.revision, self._logged)
        self.night = None if self.every is None else self.world.start + self.every

    def play(self, customers: Iterable[int], progress: Progress) -> None:
        """Let everything happen in the order of time."""
        world = self.world
        world.reset()
        self.due = [
            _Due(world.opportunity(customer, i), next(self.order), customer, i)
            for customer in customers
            for i in range(world.rounds)
        ]
        heapq.heapify(self.due)
        while self.due:
            due = heapq.heappop(self.due)
            self._nights(due.at)
            self._learn(self.teacher.until(due.at))
            if due.happening is None:
                self._meet(due)
                progress(len(self.decisions))
            else:
                self._hear(due.decision, due.happening)
        self._nights(self._end())
        self._learn(self.teacher.until(self._end()))
        if self.lessons is not None:
            self.lessons.flush()

    def _nights(self, at: datetime) -> None:
        """Learn at the end of every span until an instant."""
        while self.every is not None and self.night is not None and self.night <= at:
            self._learn(self.teacher.until(self.night))
            if self.lessons is not None:
                self.lessons.flush()
            self.night += self.every

    def _meet(self, due: _Due) -> None:
        world, customer = self.world, due.customer
        slot = world.placement(customer, due.round_index)
        context = world.context(customer, due.at, self.memory, placement=slot)
        decision = self._decide(context, world.decision_key(customer, due.round_index))
        self.expected.append(world.expected_rewards(customer, due.at))
        self.memory.keep(decision, world.revision)
        happenings = world.respond(
            customer, due.round_index, decision.action, due.at, decision.send_at
        )
        place = len(self.decisions)
        for reached, happening in world.reported(customer, due.round_index, happenings):
            order = next(self.order)
            later = _Due(reached, order, customer, due.round_index, place, happening)
            heapq.heappush(self.due, later)
        self.decisions.append(decision)
        self.places.append((customer, due.round_index))
        self._learn(self.teacher.decided(self._logged(place)))

    def _decide(self, context: Context, decision_id: str) -> Decision:
        revision = self.world.revision
        if self.group is None:
            return decide(
                revision, self.policy, context, decision_id=decision_id, secret=self.secret
            )
        mask = revision.mask(context)
        if self.group is Group.CONTROL:
            mask = hold_out(mask)
        return choose(
            revision, self.policy, context, mask, self.group,
            decision_id=decision_id, secret=self.secret, snapshot="",
        )  # fmt: skip

    def _hear(self, place: int, happening: Happening) -> None:
        decision = self.decisions[place]
        event = happening.event(decision.decision_id)
        if event.outcome_id not in self.heard:  # what is sent again says nothing new
            self.heard.add(event.outcome_id)
            self.events.append(event)
        for outcome in self.memory.hear(event):
            self._learn(
                self.teacher.happened(
                    self._logged(place), outcome, event.at, position=len(self.decisions)
                )
            )

    def _logged(self, place: int) -> Logged:
        return Logged(place, self.decisions[place], self.windows)

    def _learn(self, lessons: Iterable[Lesson]) -> None:
        if self.lessons is not None:
            self.lessons.learn(lessons)

    def _end(self) -> datetime:
        agent = self.world.revision.agent
        return max(closes_at(agent, decision.at) for decision in self.decisions)

    def result(self) -> Rollout:
        """Freeze what has happened."""
        places = np.array(self.places, dtype=np.int64)  # (N, 2)
        return Rollout(
            revision=self.world.revision,
            decisions=tuple(self.decisions),
            customers=places[:, 0],
            rounds=places[:, 1],
            events=tuple(self.events),
            expected=np.stack(self.expected),
            end=self._end(),
        )
