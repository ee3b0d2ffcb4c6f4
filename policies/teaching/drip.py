"""The drip: what the log says, in its order, is told to a learner as outcomes and their absence.

Learning never waits for a window to end. An outcome is learned as it is heard. Absence is learned
along the outcome's delay curve, in four negatives whose weights add up to 1 (drip), and an outcome
stops what is left of them and takes back the one it falls into; with a rate p this settles at
p / (1 + c p), c being the negative weight that an outcome leaves standing (under a half). While
the curve is not known there is one negative at once, and the outcome later: p / (1 + p). Both keep
the order of actions.

What is waiting can be told again from the log: a decision is dripped along the curve that was
known when it was made, and what has been given is what fell due by the log's clock. So its
own state, beside the log, is small: the curves, the clock, and where to read again from.

Source: Chapelle, KDD 2014 (delays); Ktena et al., arXiv 1907.06558 (a negative now, a positive
later).
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, TypeVar

from agents.revision import Revision
from policies.base import Label
from policies.teaching.delay import AGES, Curve, Weights, age_of, due_at, passed
from policies.teaching.watch import D, Due, Watch, facts_of, negative, read_facts

L = TypeVar("L")  # what is told at once: one lesson

_START = datetime(1900, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Drip(ABC, Generic[D, L]):
    """Tells what one agent's learner is to learn.

    For every entry of the log, of whatever agent, ask for `until` its instant first; then, if it is
    the agent's own, for what it teaches itself. A report that only restates an amount teaches
    nothing: learners know probabilities, and amounts are valued when they decide.

    Args:
        revision: in whose terms lessons are; outcomes that it does not declare are left out.
        recall: returns a decision by its position, None if it is gone.
        silent: while reading again what was learned before: nothing is counted, nothing recalled.

    Attributes:
        keeps: whether a decision is kept while its windows are open, and not recalled each time.
    """

    keeps: ClassVar[bool]
    revision: Revision
    recall: Callable[[int], D | None]
    silent: bool = False
    _curves: dict[str, Curve] = field(default_factory=dict)
    _clock: datetime = _START
    _reached: datetime = _START  # the clock when anything last changed
    _watches: dict[tuple[int, str], Watch[D]] = field(default_factory=dict)  # oldest first
    _ahead: list[Due] = field(default_factory=list)  # a heap

    @property
    def since(self) -> int | None:
        """The position from which the log must be read again to know what is waiting."""
        return next((watch.since for watch in self._watches.values()), None)

    def due(self, at: datetime) -> bool:
        """Say whether anything falls due by an instant."""
        head = self._head()
        return head is not None and head.at <= max(self._clock, at)

    def until(self, at: datetime) -> Iterator[L]:
        """Yield what the log's clock has made due when it comes to an instant."""
        self._clock = max(self._clock, at)
        while (first := self._head()) is not None and first.at <= self._clock:
            logged = None if self.silent else self._recalled(first)  # fails before a change
            self._reached = self._clock
            labels: list[Label] = []
            while self._ahead and self._ahead[0][:2] == first[:2]:
                labels += self._reach(heapq.heappop(self._ahead))
            if logged is not None and labels:
                yield from self._lessons(logged, *labels)

    def decided(self, logged: D) -> Iterator[L]:
        """Yield what a decision teaches: that it was made, and what did not follow at once."""
        self._reached = self._clock
        labels: list[Label] = []
        if not logged.teaches:
            return
        for outcome in logged.windows:
            weights = self._curve(outcome).weights(logged.position)
            if weights is None:
                labels.append(Label(outcome, happened=False, weight=logged.weight))
            else:
                labels += negative(outcome, weights[0] * logged.weight)
                self._watch(logged, outcome, weights, logged.position)
        yield from self._lessons(logged, *labels, first=True)
        yield from self.until(self._clock)  # decided in the past, as the log's clock has it

    def happened(self, logged: D, outcome: str, at: datetime, position: int) -> Iterator[L]:
        """Yield what an outcome teaches that counts once more; it stops the drip.

        Negatives that were given between the outcome and the hearing of it are taken back.

        Args:
            logged: the decision that it followed.
            outcome: its name.
            at: when it happened.
            position: of the entry of the log that tells it.
        """
        self._reached = self._clock
        window = logged.windows.get(outcome)
        if not logged.teaches or window is None:
            return
        labels = [Label(outcome, happened=True, weight=logged.weight)]
        watch = self._watches.get((logged.position, outcome))
        curve, reached = self._curve(outcome), passed(logged.at, window, self._clock)
        if watch is None and reached < len(AGES):
            weights = curve.weights(logged.position)
            watch = self._watch(logged, outcome, weights, position)
        if watch is not None and watch.delay is None:
            watch.delay = age_of(logged.at, window, at)
            taken_back = sum((watch.weights or ())[watch.delay : reached + 1])
            labels += negative(outcome, -taken_back * logged.weight)
            if not self.silent:
                for age in range(watch.delay, reached):
                    curve.observe(watch.delay, age)
                curve.hear(position)
        yield from self._lessons(logged, *labels)

    def retracted(
        self, logged: D, outcome: str, at: datetime, *, remaining: int = 0
    ) -> Iterator[L]:
        """Yield what takes an outcome back: its weight, and the negatives that it had stopped.

        Args:
            logged: the decision that it followed.
            outcome: its name.
            at: when it was said to have happened.
            remaining: how many such outcomes of the decision still count.
        """
        self._reached = self._clock
        window = logged.windows.get(outcome)
        if not logged.teaches or window is None:
            return
        labels = [Label(outcome, happened=True, weight=-logged.weight)]
        if not remaining:
            delay = age_of(logged.at, window, at)
            watch = self._watches.get((logged.position, outcome))
            if watch is not None and watch.delay is not None:
                delay, watch.delay = watch.delay, None
            reached = passed(logged.at, window, self._clock)
            weights = self._curve(outcome).weights(logged.position) or ()
            labels += negative(outcome, sum(weights[delay : reached + 1]) * logged.weight)
        yield from self._lessons(logged, *labels)

    def withdrawn(self, logged: D, counted: Mapping[str, tuple[int, datetime]]) -> Iterator[L]:
        """Yield what takes back all that a decision has taught, and tell no more of it.

        As of a contact that was never made. What its first lesson showed of the customer, scales
        and costs, stays learned: that was true.

        Args:
            logged: the decision.
            counted: by outcome, how many of it count now, and when the first heard happened.
        """
        self._reached = self._clock
        labels = list[Label]()
        if not logged.teaches:
            return
        for outcome, window in logged.windows.items():
            times, at = counted.get(outcome, (0, logged.at))
            watch = self._watches.pop((logged.position, outcome), None)
            weights = self._curve(outcome).weights(logged.position)
            told = passed(logged.at, window, self._clock) + 1
            if times:
                known = None if watch is None else watch.delay
                told = age_of(logged.at, window, at) if known is None else known
                labels.append(Label(outcome, happened=True, weight=-times * logged.weight))
            given = 1.0 if weights is None else sum(weights[:told])
            labels += negative(outcome, -given * logged.weight)
        yield from self._lessons(logged, *labels)

    def follow(self, other: Drip[Any, Any]) -> None:
        """Go on where another has come to; its decisions are to be recalled."""
        self._curves, self._clock, self._reached = other._curves, other._clock, other._reached
        self._watches, self._ahead = other._watches, other._ahead
        self.forget()

    def facts(self) -> dict[str, Any]:
        """Return the state as plain values for JSON: curves, clock, where to read again from.

        A teacher that has heard nothing yet has no facts.
        """
        if self._reached == _START:
            return {}
        return facts_of(self._reached, self.since, self._curves)

    def anew(self) -> dict[str, Any]:
        """Return the facts with which another log can begin: the curves, and nothing waiting."""
        return facts_of(_START, None, {name: curve.anew() for name, curve in self._curves.items()})

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
        self._clock, since, self._curves = read_facts(facts)
        self._reached = self._clock
        return since

    def known(self, position: int) -> D | None:
        """Return a decision that is kept, None if it must be recalled."""
        for outcome in self.revision.agent.outcomes:
            watch = self._watches.get((position, outcome))
            if watch is not None and watch.kept is not None:
                return watch.kept
        return None

    def forget(self) -> None:
        """Drop what is kept of decisions; each is recalled when it is needed again."""
        for watch in self._watches.values():
            watch.kept = None

    @abstractmethod
    def lesson(self, logged: D, labels: tuple[Label, ...], *, first: bool) -> L | None:
        """Return the lesson that says so, None if there is nothing to learn from the decision."""

    def _head(self) -> Due | None:
        """Return what falls due next; what was waited for in vain is dropped on the way."""
        while self._ahead and self._ahead[0][1:3] not in self._watches:
            heapq.heappop(self._ahead)
        return self._ahead[0] if self._ahead else None

    def _recalled(self, due: Due) -> D | None:
        watch = self._watches[due.position, due.outcome]
        if watch.kept is not None:
            return watch.kept
        logged = self.recall(due.position)
        watch.kept = logged if self.keeps else None
        return logged

    def _curve(self, outcome: str) -> Curve:
        curve = self._curves.get(outcome)
        if curve is None:
            curve = self._curves[outcome] = Curve()
        return curve

    def _watch(self, logged: D, outcome: str, weights: Weights | None, since: int) -> Watch[D]:
        at, window = logged.at, logged.windows[outcome]
        watch = Watch(since, at, window, weights, logged.weight, logged if self.keeps else None)
        self._watches[logged.position, outcome] = watch
        age = 0 if weights is not None else passed(at, window, self._clock)
        heapq.heappush(self._ahead, Due(due_at(at, window, age), logged.position, outcome, age))
        return watch

    def _reach(self, due: Due) -> Iterator[Label]:
        """Let a watch reach an age: learn that nothing has happened, or count what has."""
        key = due.position, due.outcome
        watch = self._watches.get(key)
        if watch is None:
            return
        if watch.delay is None:
            ahead = (watch.weights or ())[due.age + 1 : due.age + 2]
            yield from negative(due.outcome, sum(ahead) * watch.weight)
        elif due.age >= watch.delay and not self.silent:
            self._curve(due.outcome).observe(watch.delay, due.age)
        later = due.age + 1
        if later == len(AGES):
            del self._watches[key]
        else:
            at = due_at(watch.decided_at, watch.window, later)
            heapq.heappush(self._ahead, Due(at, due.position, due.outcome, later))

    def _lessons(self, logged: D, *labels: Label, first: bool = False) -> Iterator[L]:
        """Yield one lesson, if it is about anything that the revision still has."""
        if self.silent:
            return
        known = tuple(label for label in labels if label.outcome in self.revision.agent.outcomes)
        lesson = self.lesson(logged, known, first=first) if known or first else None
        if lesson is not None:
            yield lesson
