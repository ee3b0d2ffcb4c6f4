"""The revisions of an agent: all that were put, one of them, what is different between two."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response

from agents.errors import UnknownNameError, did_you_mean
from agents.revision import Revision
from agents.units import Name
from serving.api.agent_bodies import DifferenceAnswer, ListedRevision, RevisionId, RevisionText
from serving.api.problems import problems
from serving.api.strict import StrictRoute
from serving.ledger import Ledger
from serving.ledger.revisions import Standing, StoredRevision
from serving.life.written import difference
from serving.runtime import Runtime, runtime_of

router = APIRouter(prefix="/v1/agents/{name}", tags=["agents"], route_class=StrictRoute)


def _listed(stored: StoredRevision, standing: Standing | None) -> dict[str, Any]:
    return {
        "revision": stored.id,
        "at": stored.at.isoformat(),
        "actor": stored.actor,
        "state": "stored" if standing is None else standing.role(stored.id),
    }


def _all(ledger: Ledger, name: str) -> list[dict[str, Any]]:
    stored, standing = ledger.revisions_of(name), ledger.standing(name)
    if not stored:
        raise UnknownNameError(f"there is no agent {name!r}; {did_you_mean(name, ledger.active())}")
    return [_listed(each, standing) for each in stored]


@router.get("/revisions", response_model=list[ListedRevision], responses=problems(404, 422, 503))
async def list_revisions(name: Name, request: Request) -> Response:
    """List the newest thousand revisions of an agent: when and by whom each was put, what it is."""
    work = runtime_of(request).writer.submit(lambda ledger: _all(ledger, name))
    return Response(orjson.dumps(await asyncio.shield(work)), media_type="application/json")


def _stored(ledger: Ledger, name: str, revision_id: str) -> StoredRevision:
    stored = ledger.stored_revision(name, revision_id)
    if stored is None:
        raise UnknownNameError(
            f"agent {name!r} has no revision {revision_id!r}; see GET /v1/agents/{name}/revisions"
        )
    return stored


def _one(ledger: Ledger, name: str, revision_id: str) -> dict[str, Any]:
    stored = _stored(ledger, name, revision_id)
    yaml = ledger.find_yaml(revision_id)
    return {"agent": name, **_listed(stored, ledger.standing(name)), "yaml": yaml}


@router.get(
    "/revisions/{revision_id}", response_model=RevisionText, responses=problems(404, 422, 503)
)
async def get_revision(name: Name, revision_id: RevisionId, request: Request) -> Response:
    """Return a revision and the YAML that it was submitted as."""
    work = runtime_of(request).writer.submit(lambda ledger: _one(ledger, name, revision_id))
    return Response(orjson.dumps(await asyncio.shield(work)), media_type="application/json")


def _two(
    runtime: Runtime, ledger: Ledger, name: str, before: str | None, after: str
) -> tuple[Revision, Revision]:
    first = before or runtime.agents.current(ledger, name).revision.id
    both = (_stored(ledger, name, each).id for each in (first, after))
    old, new = (runtime.agents.revision(ledger, each) for each in both)
    return old, new


@router.get("/diff", response_model=DifferenceAnswer, responses=problems(404, 422, 503))
async def compare_revisions(
    name: Name,
    request: Request,
    to: Annotated[RevisionId, Query(description="the revision after")],
    before: Annotated[
        RevisionId | None, Query(alias="from", description="the revision before; or the active one")
    ] = None,
) -> Response:
    """Say in words what is different between two revisions of an agent."""
    runtime = runtime_of(request)
    work = runtime.writer.submit(lambda ledger: _two(runtime, ledger, name, before, to))
    old, new = await asyncio.shield(work)
    changes = await asyncio.to_thread(difference, old, new, runtime.agents.loaded)
    answer = {"before": old.id, "after": new.id, "changes": changes}
    return Response(orjson.dumps(answer), media_type="application/json")
