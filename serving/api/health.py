"""Health: is the process alive, and can it decide?"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from serving.api.answers import AliveAnswer, ReadyAnswer
from serving.api.problems import problems
from serving.ledger import Ledger
from serving.runtime import Runtime, runtime_of
from serving.security.principal import principal_of

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> AliveAnswer:
    """Say that the process answers."""
    return AliveAnswer(status="alive")


def _agents(ledger: Ledger, runtime: Runtime) -> dict[str, Any]:
    every = {name: runtime.agents.current(ledger, name) for name in ledger.active()}
    return {
        name: {"revision": active.revision.id, "snapshot": active.snapshot}
        for name, active in every.items()
    }


@router.get("/readyz", response_model=ReadyAnswer, responses=problems(503))
async def readyz(request: Request) -> Response:
    """Say that decisions can be made, by which revisions and snapshots; 503 if not.

    Where keys are asked for, only the holder of one is told of the agents of its workspace.
    """
    own = runtime_of(request) if principal_of(request).scopes else None
    agents: dict[str, Any] = {}
    for runtime in request.app.state.runtimes.values():
        answer = await asyncio.shield(runtime.writer.submit(partial(_agents, runtime=runtime)))
        agents = answer if runtime is own else agents
    clock = request.app.state.runtime.settings.clock
    content = {"status": "ready", "clock": clock, "agents": agents}
    return Response(orjson.dumps(content), media_type="application/json")
