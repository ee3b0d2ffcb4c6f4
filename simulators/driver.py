"""What the driver does in one slice of time: tells outcomes, asks, lets customers live."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from agents.decisions import OutcomeEvent
from agents.errors import StateError
from agents.units import parse_instant
from simulators.client import Question, Server
from simulators.driven import Driven
from simulators.traffic import Traffic
from simulators.world import World

_REPORTS = 1_000  # outcomes in one request


class Meeting(NamedTuple):
    """One opportunity to decide."""

    at: datetime
    customer: int
    round_index: int


class _Report(NamedTuple):
    """An outcome on its way to the company; a customer's are told apart by number."""

    at: datetime
    customer: int
    round_index: int
    number: int
    event: OutcomeEvent


@dataclass
class Driver:
    """The moving parts of one drive.

    Args:
        world: bound to the revision that the server decides by.
        server: that decides.
        agent: name of the agent that is asked.
        traffic: how many requests are sent at once.
        progress: called with the number of decisions made so far.

    Attributes:
        decisions: made so far.
        waiting: outcomes on their way, a heap.
        own: those that are told just before their customers are asked about again.
        sent: outcomes that were told so far, in order.
        repeated: decisions that were asked for twice.
    """

    world: World
    server: Server
    agent: str
    traffic: Traffic
    progress: Callable[[int], None]
    decisions: list[Driven] = field(default_factory=list)
    waiting: list[_Report] = field(default_factory=list)
    own: dict[int, list[OutcomeEvent]] = field(default_factory=dict)
    sent: list[OutcomeEvent] = field(default_factory=list)
    repeated: int = 0

    async def play(self, begins: datetime, meetings: Sequence[Meeting]) -> None:
        """Let one slice of time go by."""
        await self.report(self.due(begins))
        self.own = self._heard_inside(meetings)
        size = max(1, self.traffic.batch)
        requests = [
            together[first : first + size]
            for _, same in groupby(meetings, key=lambda meeting: meeting.at)
            for together in [list(same)]
            for first in range(0, len(together), size)
        ]
        await self.traffic.send(self.meet, requests)

    def due(self, before: datetime | None) -> list[OutcomeEvent]:
        """Take the outcomes that reach the company before an instant, or all that are left."""
        due = []
        while self.waiting and (before is None or self.waiting[0].at < before):
            due.append(heapq.heappop(self.waiting).event)
        return due

    def _heard_inside(self, meetings: Sequence[Meeting]) -> dict[int, list[OutcomeEvent]]:
        """Take what reaches the company inside a slice, but before it meets that customer."""
        met = {meeting.customer: meeting.at for meeting in meetings}
        last = max(met.values())
        later, own = [], defaultdict(list)
        while self.waiting and self.waiting[0].at < last:
            report = heapq.heappop(self.waiting)
            if report.customer in met and report.at < met[report.customer]:
                own[report.customer].append(report.event)
            else:
                later.append(report)
        for report in later:
            heapq.heappush(self.waiting, report)
        return dict(own)

    async def report(self, events: Sequence[OutcomeEvent]) -> None:
        """Send outcomes."""
        self.sent += events
        if not self.traffic.batch:
            await self.traffic.send(self.server.record, events)
            return
        for first in range(0, len(events), _REPORTS):
            await self.server.record_many(events[first : first + _REPORTS])

    async def meet(self, meetings: Sequence[Meeting]) -> None:
        """Ask for decisions of one instant, and let the customers live through them."""
        for meeting in meetings:
            for event in self.own.pop(meeting.customer, ()):
                self.sent.append(event)
                await self.server.record(event)
        asked = time.perf_counter()
        answers = await self._ask(meetings)
        latency_ms = 1_000.0 * (time.perf_counter() - asked)
        for meeting, answer in zip(meetings, answers, strict=True):
            self._live(meeting, answer, latency_ms)
        self.progress(len(self.decisions))

    async def _ask(self, meetings: Sequence[Meeting]) -> list[dict[str, Any]]:
        world, at = self.world, meetings[0].at
        questions = [
            Question(
                world.decision_key(customer, i), world.customer_id(customer),
                world.features(customer, at), world.placement(customer, i),
            )
            for _, customer, i in meetings
        ]  # fmt: skip
        twice = [
            place
            for place, (_, customer, i) in enumerate(meetings)
            if self.traffic.asks_twice(world.seed, customer, i)
        ]
        every = [*questions, *(questions[place] for place in twice)]
        if self.traffic.batch:
            answers = await self.server.decide_many(every, agent=self.agent, at=at)
        else:
            asks = (self.server.decide(each, agent=self.agent, at=at) for each in every)
            answers = await asyncio.gather(*asks)
        for place, again in zip(twice, answers[len(questions) :], strict=True):
            _require_same(answers[place], again)
        self.repeated += len(twice)
        return answers[: len(questions)]

    def _live(self, meeting: Meeting, answer: dict[str, Any], latency_ms: float) -> None:
        world, (at, customer, round_index) = self.world, meeting
        action = self._action(answer)
        expected = world.expected_rewards(customer, at)  # (A,)
        send_at = answer["action"]["send_at"]
        sent = None if send_at is None else parse_instant(send_at)
        happenings = world.respond(customer, round_index, action, at, sent)
        for number, told in enumerate(world.reported(customer, round_index, happenings)):
            event = told.happening.event(answer["decision_id"])
            heapq.heappush(self.waiting, _Report(told.at, customer, round_index, number, event))
        self.decisions.append(
            Driven(customer, round_index, at, action, expected, latency_ms, answer)
        )

    def _action(self, answer: dict[str, Any]) -> int:
        revision = self.world.revision
        if answer["revision"] != revision.id:
            raise StateError(
                f"expected decisions by revision {revision.id} of {self.agent!r}, which the world"
                f" was made for; the server decides by {answer['revision']}"
            )
        return revision.index(answer["action"]["id"])


def _require_same(first: dict[str, Any], second: dict[str, Any]) -> None:
    if first["decision_id"] != second["decision_id"]:
        raise StateError(
            "expected the same decision twice under the same idempotency key, got"
            f" {first['decision_id']} and {second['decision_id']}"
        )
