"""Health: is the process alive, and can it decide?"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from agents.errors import StateError
from serving.runtime import runtime_of

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "alive"}


@router.get("/readyz")
async def readyz(request: Request) -> dict[str, Any]:
    """Say that decisions can be made, by which revisions and snapshots; 503 if not."""
    runtime = runtime_of(request.app)
    if not runtime.writer.alive:
        raise StateError("the ledger has stopped; nothing can be decided now")
    agents = {
        name: {"revision": active.revision.id, "snapshot": active.snapshot}
        for name, active in runtime.decider.active.items()
    }
    return {"status": "ready", "clock": runtime.settings.clock, "agents": agents}
