"""The driver: a world's customers meet a running server over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import groupby

import aiohttp

from simulators.client import Server
from simulators.driven import Driven, DriveResult, write_truth
from simulators.driver import Driver, Meeting
from simulators.market.market import Market
from simulators.traffic import Traffic
from simulators.world import World

__all__ = ["DriveResult", "Driven", "Meeting", "drive", "drive_with", "slices", "write_truth"]

Progress = Callable[[int], None]

# Simulated time that is driven together; shorter than any customer's time between decisions.
_SLICE = timedelta(hours=6)
_TIMEOUT_S = 30.0
_TRIES_IN_BURSTS = 40  # a server that is asked for too much at once refuses a part, which is right
_STEADY = Traffic()


def drive(
    world: World,
    url: str,
    *,
    agent: str = "retention",
    traffic: Traffic = _STEADY,
    api_key: str | None = None,
    progress: Progress | None = None,
) -> DriveResult:
    """Drive a world against a running server; see `drive_with`.

    Args:
        world: bound to the revision that the server decides by.
        url: of the server, such as `http://127.0.0.1:8000`.
        agent: name of the agent that is asked.
        traffic: how many requests are sent at once.
        api_key: for a server that asks for one.
        progress: called with the number of decisions made so far.

    Raises:
        StateError: the server does not answer, refuses a request, or decides by another revision.
    """
    return asyncio.run(
        drive_with(world, url, agent=agent, traffic=traffic, api_key=api_key, progress=progress)
    )


async def drive_with(
    world: World,
    url: str,
    *,
    agent: str = "retention",
    traffic: Traffic = _STEADY,
    api_key: str | None = None,
    progress: Progress | None = None,
) -> DriveResult:
    """Drive a world against a server from a running event loop, in slices of simulated time.

    The world begins anew. In each slice, the outcomes that reached the company before it are sent
    first, then its decisions are asked for, several at a time, each after what is known of its
    customer by then. So no customer is asked about twice at once, an outcome is never heard before
    it happened, and time on the server runs backwards by less than a slice. After the last
    decision the remaining outcomes follow.

    Every decision carries an idempotency key and every outcome an id, both functions of the
    world, so a request that was interrupted is simply sent again. A server with `--clock driven`
    names decisions by their keys: a policy that does not learn makes the same decisions whatever
    the traffic, and the same as `rollout` with the server's draw key, as long as no guardrail
    counts what customers share, such as a budget, where concurrency decides who comes first.

    Args:
        world: bound to the revision that the server decides by.
        url: of the server.
        agent: name of the agent that is asked.
        traffic: how many requests are sent at once.
        api_key: for a server that asks for one.
        progress: called with the number of decisions made so far.

    Raises:
        StateError: the server does not answer, refuses a request, or decides by another revision.
    """
    started = time.perf_counter()
    world.reset()
    connector = aiohttp.TCPConnector(limit=0)  # traffic alone says how many
    timeout = aiohttp.ClientTimeout(_TIMEOUT_S)
    headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, headers=headers
    ) as session:
        server = Server(session, url, _TRIES_IN_BURSTS if traffic.burst else None)
        run = Driver(world, server, agent, traffic, progress or _ignore)
        for begins, meetings in slices(world):
            await run.play(begins, meetings)
        await run.report(run.due(None))
    decisions = sorted(run.decisions, key=lambda d: (d.at, d.customer))
    seconds = time.perf_counter() - started
    return DriveResult(tuple(decisions), tuple(run.sent), seconds, run.repeated, server.again)


def _ignore(done: int) -> None:
    del done


def slices(world: World) -> Iterator[tuple[datetime, list[Meeting]]]:
    """Yield the meetings of a world by slices of time: when each slice begins, and its meetings.

    A market meets many customers at one instant, so each instant is a slice of its own.
    """
    meetings = sorted(
        Meeting(world.opportunity(customer, i), customer, i)
        for customer in range(world.customers)
        for i in range(world.rounds)
    )

    def begins(meeting: Meeting) -> datetime:
        if isinstance(world, Market):
            return meeting.at
        return world.start + (meeting.at - world.start) // _SLICE * _SLICE

    for start, group in groupby(meetings, key=begins):
        yield start, list(group)
