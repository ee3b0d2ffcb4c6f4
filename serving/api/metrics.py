"""Prometheus metrics of this replica, as its caller's workspace may see them."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from agents.units import parse_instant
from serving.api.problems import problems
from serving.ledger import Ledger
from serving.runtime import Runtime, runtime_of
from serving.watching.exposition import Standing, State, exposed
from serving.watching.watch import WatchedApp

router = APIRouter(tags=["health"])

_TEXT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Prometheus text",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


@router.get("/metrics", response_class=Response, responses=_TEXT | problems(503))
async def get_metrics(request: Request) -> Response:
    """Return the replica's numbers in Prometheus's text format."""
    runtime, app = runtime_of(request), request.app
    assert isinstance(app, WatchedApp), "the factory makes no other"
    read = await asyncio.to_thread(runtime.agents.snapshots.read_to)
    work = runtime.writer.submit(lambda ledger: _state(runtime, ledger, read))
    state = await asyncio.shield(work)
    text = await asyncio.to_thread(exposed, runtime.meters, app.watch.meters, state)
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _state(runtime: Runtime, ledger: Ledger, read: int) -> State:
    last = ledger.last_position()
    read = min(read, last)
    waiting, dead = ledger.pending_counts()
    return State(
        position=last,
        unread=last - read,
        unread_s=_age(ledger, read),
        waiting=runtime.writer.waiting,
        standing=tuple(
            Standing(name, active.revision.id, active.policy.name, active.snapshot)
            for name, active in sorted(runtime.agents.every(), key=lambda pair: pair[0])
        ),
        counts={"pending": waiting, "dead": dead},
    )


def _age(ledger: Ledger, read: int) -> float:
    """Return how much younger the newest entry is than the oldest that was not read, in seconds."""
    oldest, newest = _instant(ledger, read), ledger.last_instant()
    if oldest is None or newest is None:
        return 0.0
    return max(0.0, (newest - oldest).total_seconds())


def _instant(ledger: Ledger, read: int) -> datetime | None:
    for entry in ledger.entries(read, 1):
        at = entry.body.get("at") or entry.body.get("event", {}).get("at")
        return None if at is None else parse_instant(at)
    return None
