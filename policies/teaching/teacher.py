"""The teacher: turns what the log says, in its order, into what an agent's learner is to learn.

Learning never waits for a window to end. An outcome is learned as it is heard. Absence is learned
along the outcome's delay curve, in four negatives whose weights add up to 1 (drip), and an outcome
stops what is left of them and takes back the one it falls into; with a rate p this settles at
p / (1 + c p), c being the negative weight that an outcome leaves standing (under a half). While
the curve is not known there is one negative at once, and the outcome later: p / (1 + p). Both keep
the order of actions.

What is waiting can be told again from the log: a decision is dripped along the curve that was
known when it was made, and what has been given is what fell due by the log's clock. So the
teacher's own state, beside the log, is small: the curves, the clock, and where to read again from.

Source: Chapelle, KDD 2014 (delays); Ktena et al., arXiv 1907.06558 (a negative now, a positive
later).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from agents.decisions import Decision
from agents.errors import SnapshotError
from agents.revision import Revision
from agents.units import parse_instant
from policies.base import Label, Lesson
from policies.teaching.delay import AGES, Curve, Weights, age_of, due_at, passed
from policies.teaching.logged import Logged, Recall, lesson_of

_START = datetime(1900, 1, 1, tzinfo=UTC)


def _facts(clock: datetime, since: int | None, curves: Mapping[str, Curve]) -> dict[str, Any]:
    told = {name: curve.facts() for name, curve in curves.items()}
    return {"clock": clock.isoformat(), "since": since, "curves": told}


def _negative(outcome: str, weight: float) -> list[Label]:
    """Return the label that an outcome has not happened, none if it weighs nothing."""
    return [Label(outcome, happened=False, weight=weight)] if weight else []


@dataclass(slots=True)
class _Watch:
    """One outcome of one decision while its window is open.

    Args:
        since: position of the entry from which it can be told again.
        decided_at, window: of the decision and the outcome.
        weights: of its negatives; None if its one negative was given at once.
        weight: of the decision.
        delay: age by which it has happened, None while it has not.
    """

    since: int
    decided_at: datetime
    window: timedelta
    weights: Weights | None
    weight: float
    delay: int | None = None


class _Due(NamedTuple):
    """An age that an outcome's watch is to reach; in the order in which ages are reached."""

    at: datetime
    position: int
    outcome: str
    age: int


@dataclass(slots=True)
class Teacher:
    """Teaches one agent's learner.

    For every entry of the log, of whatever agent, ask for `until` its instant first; then, if it is
    the agent's own, for what it teaches itself. A report that only restates an amount teaches
    nothing: learners know probabilities, and amounts are valued when they decide.

    Args:
        revision: in whose terms lessons are; outcomes that it does not declare are left out.
        recall: returns a decision by its position, None if it is gone.
        silent: while reading again what was learned before: nothing is counted, nothing recalled.
    """

    revision: Revision
    recall: Recall
    silent: bool = False
    _curves: dict[str, Curve] = field(default_factory=dict)
    _clock: datetime = _START
    _reached: datetime = _START  # the clock when anything last changed
    _watches: dict[tuple[int, str], _Watch] = field(default_factory=dict)  # oldest first
    _ahead: list[_Due] = field(default_factory=list)  # a heap

    @property
    def since(self) -> int | None:
        """The position from which the log must be read again to know what is waiting."""
        return next((watch.since for watch in self._watches.values()), None)

    def due(self, at: datetime) -> bool:
        """Say whether anything falls due by an instant."""
        head = self._head()
        return head is not None and head.at <= max(self._clock, at)

    def until(self, at: datetime) -> Iterator[Lesson]:
        """Yield what the log's clock has made due when it comes to an instant."""
        self._clock = max(self._clock, at)
        while (first := self._head()) is not None and first.at <= self._clock:
            logged = None if self.silent else self.recall(first.position)  # fails before a change
            self._reached = self._clock
            labels: list[Label] = []
            while self._ahead and self._ahead[0][:2] == first[:2]:
                labels += self._reach(heapq.heappop(self._ahead))
            if logged is not None and labels:
                yield from self._lessons(logged.decision, *labels)

    def decided(self, logged: Logged) -> Iterator[Lesson]:
        """Yield what a decision teaches: that it was made, and what did not follow at once."""
        self._reached = self._clock
        decision, labels = logged.decision, []
        if not decision.group.teaches:
            return
        for outcome in logged.windows:
            weights = self._curve(outcome).weights(logged.position)
            if weights is None:
                labels.append(Label(outcome, happened=False, weight=logged.weight))
            else:
                labels += _negative(outcome, weights[0] * logged.weight)
                self._watch(logged, outcome, weights, logged.position)
        yield from self._lessons(decision, *labels, first=True)
        yield from self.until(self._clock)  # decided in the past, as the log's clock has it

    def happened(
        self, logged: Logged, outcome: str, at: datetime, position: int
    ) -> Iterator[Lesson]:
        """Yield what an outcome teaches that counts once more; it stops the drip.

        Negatives that were given between the outcome and the hearing of it are taken back.

        Args:
            logged: the decision that it followed.
            outcome: its name.
            at: when it happened.
            position: of the entry of the log that tells it.
        """
        self._reached = self._clock
        decision, window = logged.decision, logged.windows.get(outcome)
        if not decision.group.teaches or window is None:
            return
        labels = [Label(outcome, happened=True, weight=logged.weight)]
        watch = self._watches.get((logged.position, outcome))
        curve, reached = self._curve(outcome), passed(decision.at, window, self._clock)
        if watch is None and reached < len(AGES):
            weights = curve.weights(logged.position)
            watch = self._watch(logged, outcome, weights, position)
        if watch is not None and watch.delay is None:
            watch.delay = age_of(decision.at, window, at)
            taken_back = sum((watch.weights or ())[watch.delay : reached + 1])
            labels += _negative(outcome, -taken_back * logged.weight)
            if not self.silent:
                for age in range(watch.delay, reached):
                    curve.observe(watch.delay, age)
                curve.hear(position)
        yield from self._lessons(decision, *labels)

    def retracted(
        self, logged: Logged, outcome: str, at: datetime, *, remaining: int = 0
    ) -> Iterator[Lesson]:
        """Yield what takes an outcome back: its weight, and the negatives that it had stopped.

        Args:
            logged: the decision that it followed.
            outcome: its name.
            at: when it was said to have happened.
            remaining: how many such outcomes of the decision still count.
        """
        self._reached = self._clock
        decision, window = logged.decision, logged.windows.get(outcome)
        if not decision.group.teaches or window is None:
            return
        labels = [Label(outcome, happened=True, weight=-logged.weight)]
        if not remaining:
            delay = age_of(decision.at, window, at)
            watch = self._watches.get((logged.position, outcome))
            if watch is not None and watch.delay is not None:
                delay, watch.delay = watch.delay, None
            reached = passed(decision.at, window, self._clock)
            weights = self._curve(outcome).weights(logged.position) or ()
            labels += _negative(outcome, sum(weights[delay : reached + 1]) * logged.weight)
        yield from self._lessons(decision, *labels)

    def withdrawn(
        self, logged: Logged, counted: Mapping[str, tuple[int, datetime]]
    ) -> Iterator[Lesson]:
        """Yield what takes back all that a decision has taught, and tell no more of it.

        As of a contact that was never made. What its first lesson showed of the customer, scales
        and costs, stays learned: that was true.

        Args:
            logged: the decision.
            counted: by outcome, how many of it count now, and when the first heard happened.
        """
        self._reached = self._clock
        decision, labels = logged.decision, list[Label]()
        if not decision.group.teaches:
            return
        for outcome, window in logged.windows.items():
            times, at = counted.get(outcome, (0, decision.at))
            watch = self._watches.pop((logged.position, outcome), None)
            weights = self._curve(outcome).weights(logged.position)
            told = passed(decision.at, window, self._clock) + 1
            if times:
                known = None if watch is None else watch.delay
                told = age_of(decision.at, window, at) if known is None else known
                labels.append(Label(outcome, happened=True, weight=-times * logged.weight))
            given = 1.0 if weights is None else sum(weights[:told])
            labels += _negative(outcome, -given * logged.weight)
        yield from self._lessons(decision, *labels)

    def facts(self) -> dict[str, Any]:
        """Return the state as plain values for JSON: curves, clock, where to read again from.

        A teacher that has heard nothing yet has no facts.
        """
        if self._reached == _START:
            return {}
        return _facts(self._reached, self.since, self._curves)

    def anew(self) -> dict[str, Any]:
        """Return the facts with which another log can begin: the curves, and nothing waiting."""
        return _facts(_START, None, {name: curve.anew() for name, curve in self._curves.items()})

    def restore(self, facts: Mapping[str, Any]) -> int | None:
        """Take up `facts`; an empty mapping is the state of a teacher that knows nothing yet.

        Returns:
            The position from which the log is to be read again, `silent`, up to where the facts
            were taken; None if nothing is waiting.

        Raises:
            SnapshotError: it is no such state.
        """
        if not facts:
            return None
        try:
            self._clock = self._reached = parse_instant(facts["clock"])
            self._curves = {name: Curve.of(curve) for name, curve in facts["curves"].items()}
            since = facts["since"]
            return None if since is None else int(since)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise SnapshotError(f"the state of a teacher lacks a part: {error!r}") from error

    def _head(self) -> _Due | None:
        """Return what falls due next; what was waited for in vain is dropped on the way."""
        while self._ahead and self._ahead[0][1:3] not in self._watches:
            heapq.heappop(self._ahead)
        return self._ahead[0] if self._ahead else None

    def _curve(self, outcome: str) -> Curve:
        return self._curves.setdefault(outcome, Curve())

    def _watch(self, logged: Logged, outcome: str, weights: Weights | None, since: int) -> _Watch:
        at, window = logged.decision.at, logged.windows[outcome]
        watch = _Watch(since, at, window, weights, logged.weight)
        self._watches[logged.position, outcome] = watch
        age = 0 if weights is not None else passed(at, window, self._clock)
        heapq.heappush(self._ahead, _Due(due_at(at, window, age), logged.position, outcome, age))
        return watch

    def _reach(self, due: _Due) -> Iterator[Label]:
        """Let a watch reach an age: learn that nothing has happened, or count what has."""
        key = due.position, due.outcome
        watch = self._watches.get(key)
        if watch is None:
            return
        if watch.delay is None:
            ahead = (watch.weights or ())[due.age + 1 : due.age + 2]
            yield from _negative(due.outcome, sum(ahead) * watch.weight)
        elif due.age >= watch.delay and not self.silent:
            self._curve(due.outcome).observe(watch.delay, due.age)
        later = due.age + 1
        if later == len(AGES):
            del self._watches[key]
        else:
            at = due_at(watch.decided_at, watch.window, later)
            heapq.heappush(self._ahead, _Due(at, due.position, due.outcome, later))

    def _lessons(self, decision: Decision, *labels: Label, first: bool = False) -> Iterator[Lesson]:
        """Yield one lesson, if it is about anything that the revision still has."""
        if self.silent:
            return
        known = tuple(label for label in labels if label.outcome in self.revision.agent.outcomes)
        lesson = lesson_of(decision, self.revision) if known or first else None
        if lesson is not None:
            yield replace(lesson, labels=known, first=first)
