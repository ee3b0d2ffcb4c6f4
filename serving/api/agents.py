"""Agents: submit one as YAML, see what is active."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from agents.errors import UnknownNameError, did_you_mean
from agents.units import Name
from serving.api.answers import AgentAnswer, AgentText, ListedAgent
from serving.api.problems import BODY, problems
from serving.api.strict import BodyError, StrictRoute
from serving.ledger import Ledger
from serving.runtime import runtime_of

router = APIRouter(prefix="/v1/agents", tags=["agents"], route_class=StrictRoute)

_YAML = {"content": {"application/yaml": {"schema": {"type": "string"}}}, "required": True}


@router.put(
    "/{name}",
    response_model=AgentAnswer,
    responses=problems(*BODY),
    openapi_extra={"requestBody": _YAML},
)
async def put_agent(name: Name, request: Request) -> Response:
    """Check an agent's YAML and decide by it from now on; an error changes nothing."""
    runtime = runtime_of(request.app)
    try:
        yaml = (await request.body()).decode()
    except UnicodeDecodeError as error:
        raise BodyError(f"expected YAML in UTF-8: {error.reason}") from error
    work = runtime.writer.submit(lambda ledger: runtime.agents.submit(ledger, name, yaml))
    revision, changed = await asyncio.shield(work)
    answer = {
        "agent": name,
        "revision": revision.id,
        "actions": len(revision.actions),
        "changed": changed,
    }
    return Response(orjson.dumps(answer), media_type="application/json")


def _all(ledger: Ledger) -> list[dict[str, str]]:
    return [{"agent": name, "revision": revision} for name, revision in ledger.active().items()]


@router.get("", response_model=list[ListedAgent], responses=problems(503))
async def list_agents(request: Request) -> Response:
    """List every agent and its active revision."""
    answer = await asyncio.shield(runtime_of(request.app).writer.submit(_all))
    return Response(orjson.dumps(answer), media_type="application/json")


def _one(ledger: Ledger, name: str) -> dict[str, Any]:
    active = ledger.active()
    if name not in active:
        raise UnknownNameError(f"there is no agent {name!r}; {did_you_mean(name, active)}")
    return {"agent": name, "revision": active[name], "yaml": ledger.find_yaml(active[name])}


@router.get("/{name}", response_model=AgentText, responses=problems(404, 422, 503))
async def get_agent(name: Name, request: Request) -> Response:
    """Return an agent's active revision and the YAML it was submitted as."""
    work = runtime_of(request.app).writer.submit(lambda ledger: _one(ledger, name))
    return Response(orjson.dumps(await asyncio.shield(work)), media_type="application/json")
