"""Agents: put a revision of one, let it stand, take it back, see what stands."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response

from agents.errors import UnknownNameError, did_you_mean
from agents.revision import Revision
from agents.units import Name
from agents.yamlsource import read_yaml
from serving.api.agent_bodies import (
    ActivationBody,
    AgentText,
    ChangedAnswer,
    ListedAgent,
    PutAnswer,
    RollbackBody,
    changed_answer,
    listed,
)
from serving.api.problems import BODY, problems
from serving.api.strict import BodyError, StrictRoute
from serving.ledger import Ledger
from serving.ledger.revisions import Standing
from serving.life.lifecycle import Why
from serving.life.standing import Activation
from serving.life.written import Written, advice, difference, read_agent
from serving.runtime import Runtime, runtime_of
from serving.security.principal import actor_of

router = APIRouter(prefix="/v1/agents", tags=["agents"], route_class=StrictRoute)

_YAML = {"content": {"application/yaml": {"schema": {"type": "string"}}}, "required": True}


@dataclass(frozen=True, slots=True)
class _Put:
    """What one transaction has found beside a revision that was put."""

    new: bool
    at: datetime
    standing: Standing | None
    active: Revision | None
    others: Mapping[str, tuple[Revision, str]]


@router.put(
    "/{name}",
    response_model=PutAnswer,
    responses=problems(*BODY),
    openapi_extra={"requestBody": _YAML},
)
async def put_agent(
    name: Name,
    request: Request,
    check: Annotated[bool, Query(description="only say what it would be; store nothing")] = False,
) -> Response:
    """Check an agent's YAML and store it as a revision; nothing decides by it yet.

    The answer says in words what it would change. An error changes nothing.
    """
    runtime, actor = runtime_of(request), actor_of(request)
    try:
        yaml = (await request.body()).decode()
    except UnicodeDecodeError as error:
        raise BodyError(f"expected YAML in UTF-8: {error.reason}") from error
    workspace = runtime.agents.workspace
    written = await asyncio.to_thread(read_agent, name, yaml, workspace)

    def put(ledger: Ledger) -> _Put:
        new = (
            runtime.lifecycle.check(ledger, written)
            if check
            else runtime.lifecycle.put(ledger, written, actor)
        )
        return _beside(runtime, ledger, name, new)

    found = await asyncio.shield(runtime.writer.submit(put))
    answer = await asyncio.to_thread(_tell, runtime, written, found)
    return Response(orjson.dumps(answer), media_type="application/json")


def _beside(runtime: Runtime, ledger: Ledger, name: str, new: bool) -> _Put:
    """Gather what a revision is compared with."""
    standing = ledger.standing(name)
    others = {}
    for each in ledger.active():
        revision = runtime.agents.current(ledger, each).revision
        others[each] = revision, ledger.find_yaml(revision.id) or ""
    active = others.pop(name, None)
    before = None if active is None else active[0]
    return _Put(new, runtime.lifecycle.now(ledger), standing, before, others)


def _tell(runtime: Runtime, written: Written, found: _Put) -> dict[str, Any]:
    loaded, revision = runtime.agents.loaded, written.revision
    others = {
        name: Written(other, yaml, read_yaml(yaml, f"agents/{name}.yaml"))
        for name, (other, yaml) in found.others.items()
    }
    return {
        "agent": revision.agent.agent,
        "revision": revision.id,
        "new": found.new,
        "actions": len(revision.actions),
        "changes": [] if found.active is None else difference(found.active, revision, loaded),
        "advice": advice(written, others, loaded, found.at),
        "standing": None if found.standing is None else found.standing.to_record(),
    }


@router.post("/{name}/activate", response_model=ChangedAnswer, responses=problems(*BODY, 404, 409))
async def activate_agent(name: Name, body: ActivationBody, request: Request) -> Response:
    """Decide by a revision from now on: for all, for some (a canary), or beside (a shadow).

    Refused with 409 if another revision is active than `expected`: somebody else was faster.
    """
    runtime, actor = runtime_of(request), actor_of(request)
    asked = Activation(body.revision, body.expected, body.percent, body.shadow, body.reason)
    work = runtime.writer.submit(
        lambda ledger: runtime.lifecycle.activate(ledger, name, asked, actor)
    )
    answer = changed_answer(name, await asyncio.shield(work))
    return Response(orjson.dumps(answer), media_type="application/json")


@router.post("/{name}/rollback", response_model=ChangedAnswer, responses=problems(*BODY, 404, 409))
async def roll_back_agent(name: Name, body: RollbackBody, request: Request) -> Response:
    """End the canary and the shadow; without either, go back to what was active before."""
    runtime, why = runtime_of(request), Why(actor_of(request), body.reason)
    work = runtime.writer.submit(lambda ledger: runtime.lifecycle.rollback(ledger, name, why))
    answer = changed_answer(name, await asyncio.shield(work))
    return Response(orjson.dumps(answer), media_type="application/json")


def _all(ledger: Ledger) -> list[dict[str, Any]]:
    return [listed(name, _standing(ledger, name)) for name in ledger.active()]


@router.get("", response_model=list[ListedAgent], responses=problems(503))
async def list_agents(request: Request) -> Response:
    """List every agent and what stands of it."""
    answer = await asyncio.shield(runtime_of(request).writer.submit(_all))
    return Response(orjson.dumps(answer), media_type="application/json")


def _standing(ledger: Ledger, name: str) -> Standing:
    standing = ledger.standing(name)
    if standing is None:
        raise UnknownNameError(f"there is no agent {name!r}; {did_you_mean(name, ledger.active())}")
    return standing


def _one(ledger: Ledger, name: str) -> dict[str, Any]:
    standing = _standing(ledger, name)
    return {**listed(name, standing), "yaml": ledger.find_yaml(standing.revision)}


@router.get("/{name}", response_model=AgentText, responses=problems(404, 422, 503))
async def get_agent(name: Name, request: Request) -> Response:
    """Return what stands of an agent, and the YAML of its active revision."""
    work = runtime_of(request).writer.submit(lambda ledger: _one(ledger, name))
    return Response(orjson.dumps(await asyncio.shield(work)), media_type="application/json")
