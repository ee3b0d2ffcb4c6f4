"""The driver: a world's customers meet a running server over HTTP."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count, groupby
from typing import Any, NamedTuple, TypeVar

import aiohttp

from agents.decisions import OutcomeEvent
from agents.errors import StateError
from agents.units import parse_instant
from simulators.client import Server
from simulators.driven import Driven, DriveResult, write_truth
from simulators.world import World

__all__ = ["DriveResult", "Driven", "Meeting", "drive", "drive_with", "slices", "write_truth"]

T = TypeVar("T")
Progress = Callable[[int], None]

# Simulated time that is driven together; shorter than any customer's time between decisions.
_SLICE = timedelta(hours=6)
_TIMEOUT_S = 30.0


def drive(
    world: World,
    url: str,
    *,
    agent: str = "retention",
    concurrency: int = 8,
    progress: Progress | None = None,
) -> DriveResult:
    """Drive a world against a running server; see `drive_with`.

    Args:
        world: bound to the revision that the server decides by.
        url: of the server, such as `http://127.0.0.1:8000`.
        agent: name of the agent that is asked.
        concurrency: requests under way at the same time, at least 1.
        progress: called with the number of decisions made so far.

    Raises:
        StateError: the server does not answer, refuses a request, or decides by another revision.
    """
    return asyncio.run(
        drive_with(world, url, agent=agent, concurrency=concurrency, progress=progress)
    )


async def drive_with(
    world: World,
    url: str,
    *,
    agent: str = "retention",
    concurrency: int = 8,
    progress: Progress | None = None,
) -> DriveResult:
    """Drive a world against a server from a running event loop, in slices of simulated time.

    The world begins anew. In each slice, the outcomes that arrived before it are sent first, then
    its decisions are asked for, several at a time. So no customer is asked about twice at once,
    an outcome is never heard before it happened, and time on the server runs backwards by less
    than a slice. After the last decision the remaining outcomes follow.

    Every decision carries an idempotency key and every outcome an id, both functions of the
    world, so a request that was interrupted is simply sent again.

    Args:
        world: bound to the revision that the server decides by.
        url: of the server.
        agent: name of the agent that is asked.
        concurrency: requests under way at the same time, at least 1.
        progress: called with the number of decisions made so far.

    Raises:
        StateError: the server does not answer, refuses a request, or decides by another revision.
    """
    if concurrency < 1:
        raise ValueError(f"concurrency: expected at least 1, got {concurrency}")
    started = time.perf_counter()
    world.reset()
    places = asyncio.Semaphore(concurrency)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_TIMEOUT_S)) as session:
        run = _Run(world, Server(session, url), agent, places, progress or _ignore)
        for begins, meetings in slices(world):
            await run.send_outcomes(before=begins)
            await run.all(run.meet, meetings)
        await run.send_outcomes(before=None)
    decisions = sorted(run.decisions, key=lambda d: (d.at, d.customer))
    return DriveResult(tuple(decisions), tuple(run.sent), time.perf_counter() - started)


def _ignore(done: int) -> None:
    del done


class Meeting(NamedTuple):
    """One opportunity to decide."""

    at: datetime
    customer: int
    round_index: int


def slices(world: World) -> Iterator[tuple[datetime, list[Meeting]]]:
    """Yield the meetings of a world by slices of time: when each slice begins, and its meetings."""
    meetings = sorted(
        Meeting(world.opportunity(customer, i), customer, i)
        for customer in range(world.customers)
        for i in range(world.rounds)
    )
    for number, group in groupby(
        meetings, key=lambda meeting: (meeting.at - world.start) // _SLICE
    ):
        yield world.start + number * _SLICE, list(group)


@dataclass
class _Run:
    """The moving parts of one drive."""

    world: World
    server: Server
    agent: str
    places: asyncio.Semaphore
    progress: Progress
    decisions: list[Driven] = field(default_factory=list)
    waiting: list[tuple[datetime, int, OutcomeEvent]] = field(default_factory=list)
    sent: list[OutcomeEvent] = field(default_factory=list)
    order: Iterator[int] = field(default_factory=count)

    async def all(self, work: Callable[[T], Awaitable[object]], items: Iterable[T]) -> None:
        """Do something for every item, as many at once as there are places, up to an error."""

        async def one(item: T) -> None:
            async with self.places:
                await work(item)

        try:
            async with asyncio.TaskGroup() as tasks:
                for item in items:
                    tasks.create_task(one(item))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def send_outcomes(self, before: datetime | None) -> None:
        """Send the outcomes that arrived before an instant, or all that are left."""
        due = []
        while self.waiting and (before is None or self.waiting[0][0] < before):
            due.append(heapq.heappop(self.waiting)[-1])
        self.sent += due
        await self.all(self.server.record, due)

    async def meet(self, meeting: Meeting) -> None:
        """Ask for one decision, and let the customer live through it."""
        world, (at, customer, round_index) = self.world, meeting
        key = world.decision_key(customer, round_index)
        asked = time.perf_counter()
        answer = await self.server.decide(
            key,
            agent=self.agent,
            customer=world.customer_id(customer),
            features=world.features(customer, at),
            at=at,
            placement=world.placement(customer, round_index),
        )
        latency_ms = 1_000.0 * (time.perf_counter() - asked)
        expected = world.expected_rewards(customer, at)  # (A,)
        action = self._action(answer)
        send_at = answer["action"]["send_at"]
        sent = None if send_at is None else parse_instant(send_at)
        for happening in world.respond(customer, round_index, action, at, sent):
            event = OutcomeEvent(
                f"{key}-{happening.outcome}", answer["decision_id"], happening.outcome,
                happening.at, dict(happening.properties),
            )  # fmt: skip
            heapq.heappush(self.waiting, (happening.at, next(self.order), event))
        driven = Driven(customer, round_index, at, action, expected, latency_ms, answer)
        self.decisions.append(driven)
        self.progress(len(self.decisions))

    def _action(self, answer: dict[str, Any]) -> int:
        revision = self.world.revision
        if answer["revision"] != revision.id:
            raise StateError(
                f"expected decisions by revision {revision.id} of {self.agent!r}, which the world"
                f" was made for; the server decides by {answer['revision']}"
            )
        return revision.index(answer["action"]["id"])
