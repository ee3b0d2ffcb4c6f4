"""Health: is the process alive, and can it decide?"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from serving.api.answers import AliveAnswer, ReadyAnswer
from serving.api.problems import problems
from serving.ledger import Ledger
from serving.runtime import Runtime, runtime_of

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> AliveAnswer:
    """Say that the process answers."""
    return AliveAnswer(status="alive")


def _ready(runtime: Runtime, ledger: Ledger) -> dict[str, Any]:
    every = {name: runtime.agents.current(ledger, name) for name in ledger.active()}
    agents = {
        name: {"revision": active.revision.id, "snapshot": active.snapshot}
        for name, active in every.items()
    }
    return {"status": "ready", "clock": runtime.settings.clock, "agents": agents}


@router.get("/readyz", response_model=ReadyAnswer, responses=problems(503))
async def readyz(request: Request) -> Response:
    """Say that decisions can be made, by which revisions and snapshots; 503 if not."""
    runtime = runtime_of(request.app)
    answer = runtime.writer.submit(lambda ledger: _ready(runtime, ledger))
    return Response(orjson.dumps(await asyncio.shield(answer)), media_type="application/json")
