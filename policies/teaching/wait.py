"""Waiting: of supplied actions a reward is learned once, when the window of its decision has ended.

What the caller reports is the reward itself, and a request's actions may never come again, so there
is no rate of an outcome to be learned early. What counts is what had been heard when the log's
clock passed the end of the window, as it was corrected until then; if nothing, the default. What is
heard later is in the log, and teaches nothing.

A decision that was deferred teaches nothing before the log says that it was activated, and nothing
at all if it says that it was given back. It can be activated inside its window only, so of one that
is gone from the log nothing more is heard: some time after its window it is forgotten.

Its own state, beside the log, is the clock and where to read again from, as of `Drip`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from agents.corrections import Correction, corrected
from agents.decisions import Decision, OutcomeEvent
from agents.revision import Revision
from agents.rewards import reward
from policies.base import Label, Lesson
from policies.teaching.watch import facts_of, read_facts

_START = datetime(1900, 1, 1, tzinfo=UTC)
_LATE = timedelta(hours=1)  # that word of an activation may come behind the log's clock


class Ended(NamedTuple):
    """A decision whose window has ended.

    Args:
        decision: as the log has it.
        revision: of the agent, that decided it.
        weight: how often it counts, for a log of which only a part was kept: one in ten, 10.
    """

    decision: Decision
    revision: Revision
    weight: float = 1.0


@dataclass(slots=True)
class Waiting:
    """A decision whose window is open, or that waits to be activated.

    Args:
        position: its place in the log.
        closes: when its window ends (UTC).
        deferred: whether it is still to be activated.
        events: what followed it, by the outcome's id, as corrected.
    """

    position: int
    closes: datetime
    deferred: bool = False
    events: dict[str, OutcomeEvent] = field(default_factory=dict)


def lesson_of_ended(ended: Ended, events: Sequence[OutcomeEvent]) -> Lesson:
    """Return the one lesson of a decision: what its action was worth.

    Args:
        ended: the decision.
        events: what followed it, as corrected; of what came outside the window nothing counts.
    """
    decision, revision = ended.decision, ended.revision
    action = revision.actions[-1]  # all supplied actions cost the same
    worth = reward(revision.agent, action, decision.at, events, closed=True)
    (outcome,) = revision.agent.outcomes
    return Lesson(
        decision.context, decision.mask, decision.action, decision.propensity,
        (Label(outcome, happened=True, weight=ended.weight, value=worth),), first=True,
    )  # fmt: skip


@dataclass(slots=True)
class Wait:
    """Tells what the learner of a loop is to learn.

    For every entry of the log, of whatever agent, ask for `until` its instant first; then, if it is
    the agent's own, for what it teaches itself.

    Args:
        recall: returns a decision by its position, None if it is gone.
        silent: while reading again what was learned before: nothing is told.
    """

    recall: Callable[[int], Ended | None]
    silent: bool = False
    _clock: datetime = _START
    _reached: datetime = _START  # the clock when anything last changed
    _waiting: dict[int, Waiting] = field(default_factory=dict)  # by position, oldest first
    _ahead: list[tuple[datetime, int]] = field(default_factory=list)  # a heap

    @property
    def since(self) -> int | None:
        """The position from which the log must be read again to know what is waiting."""
        return next(iter(self._waiting), None)

    def due(self, at: datetime) -> bool:
        """Say whether the window of any decision has ended by an instant."""
        self._drop_stale()
        return bool(self._ahead) and self._ahead[0][0] <= max(self._clock, at)

    def until(self, at: datetime) -> Iterator[Lesson]:
        """Yield the lessons of decisions whose windows the log's clock has passed by an instant."""
        self._clock = max(self._clock, at)
        while self.due(self._clock):
            position = self._ahead[0][1]
            told = self._told(self._waiting[position])  # fails before a change
            self._reached = self._clock
            heapq.heappop(self._ahead)
            del self._waiting[position]
            if told is not None:
                yield told

    def decided(self, waiting: Waiting) -> Iterator[Lesson]:
        """Take in a decision that teaches; yield its lesson if its window has ended already."""
        self._reached = self._clock
        self._waiting[waiting.position] = waiting
        yield from self._expect(waiting)

    def happened(self, position: int, event: OutcomeEvent) -> None:
        """Take in an event that followed a decision."""
        self._reached = self._clock
        waiting = self._waiting.get(position)
        if waiting is not None:
            waiting.events[event.outcome_id] = replace(event, customer="")

    def adjusted(self, position: int, correction: Correction) -> None:
        """Take in what is to be thought of an event from now on."""
        self._reached = self._clock
        waiting = self._waiting.get(position)
        if waiting is not None:
            standing = corrected(waiting.events.values(), (correction,))
            waiting.events = {event.outcome_id: event for event in standing}

    def activated(self, position: int) -> Iterator[Lesson]:
        """Take in that a decision was activated; yield its lesson if its window has ended."""
        self._reached = self._clock
        waiting = self._waiting.get(position)
        if waiting is not None and waiting.deferred:
            waiting.deferred = False
            yield from self._expect(waiting)

    def withdrawn(self, position: int) -> None:
        """Take in that a decision's action was not shown; what was learned of it stays."""
        self._reached = self._clock
        self._waiting.pop(position, None)

    def follow(self, other: Wait) -> None:
        """Go on where another has come to."""
        self._clock, self._reached = other._clock, other._reached
        self._waiting, self._ahead = other._waiting, other._ahead

    def facts(self) -> dict[str, Any]:
        """Return the state as plain values for JSON; none if it has heard nothing yet."""
        return {} if self._reached == _START else facts_of(self._reached, self.since, {})

    def restore(self, facts: Mapping[str, Any]) -> int | None:
        """Take up `facts`.

        Returns:
            The position from which the log is to be read again, `silent`, up to where the facts
            were taken; None if nothing is waiting.

        Raises:
            SnapshotError: it is no such state.
        """
        if not facts:
            return None
        self._clock, since, _ = read_facts(facts)
        self._reached = self._clock
        return since

    def known(self, position: int) -> Waiting | None:
        """Return a decision that is waited for, None if there is none."""
        return self._waiting.get(position)

    def forget(self) -> None:
        """Forget whom decisions were about: nothing of that is kept."""

    def _expect(self, waiting: Waiting) -> Iterator[Lesson]:
        """Let a decision be learned at the end of its window, or forgotten if not activated."""
        end = waiting.closes + _LATE if waiting.deferred else waiting.closes
        heapq.heappush(self._ahead, (end, waiting.position))
        yield from self.until(self._clock)

    def _drop_stale(self) -> None:
        """Let what falls due next be waited for still: others were withdrawn or told already."""
        while self._ahead and self._ahead[0][1] not in self._waiting:
            heapq.heappop(self._ahead)

    def _told(self, waiting: Waiting) -> Lesson | None:
        if self.silent or waiting.deferred:
            return None
        ended = self.recall(waiting.position)
        return None if ended is None else lesson_of_ended(ended, list(waiting.events.values()))
