"""Customers: what is known of one, and its erasure."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from serving.api.problems import problems
from serving.api.strict import StrictRoute
from serving.api.wire import Identifier
from serving.ledger import Ledger
from serving.ledger.records import EntryKind
from serving.runtime import runtime_of
from serving.security.principal import actor_of

router = APIRouter(prefix="/v1/customers", tags=["customers"], route_class=StrictRoute)

_DECISION = (
    "decision_id", "at", "agent", "revision", "policy", "snapshot", "group", "reason", "floor",
    "explored", "send_at",
)  # fmt: skip

CustomerId = Annotated[Identifier, Path(description="the caller's id of the customer")]


class MentionAnswer(BaseModel):
    """One thing that the ledger knows of a customer."""

    position: int
    kind: EntryKind
    at: datetime | None = Field(description="when it happened, if it says so")
    body: dict[str, Any] = Field(description="a decision in short, anything else as recorded")


class TimelineAnswer(BaseModel):
    """What the ledger knows of a customer, newest first."""

    customer: str
    entries: list[MentionAnswer]
    before: int | None = Field(description="ask for `before` this for what is older; null: no more")


class ErasedAnswer(BaseModel):
    """The proof that a customer was erased."""

    customer: str = Field(description="keyed hash of the id, as in exported logs")
    at: datetime
    position: int = Field(description="of the erasure in the log")
    removed: dict[str, int] = Field(description="rows by what they were; `log`: all entries")
    audit: str = Field(description="hash of its row in the audit chain")
    overwritten: bool = Field(
        description="whether the ledger's file is free of what was removed, too; false for a large"
        " one, until `nextbest scrub` has run"
    )


@router.get("/{customer:path}", response_model=TimelineAnswer, responses=problems(422, 503))
async def get_customer(
    customer: CustomerId,
    request: Request,
    before: Annotated[int | None, Query(ge=1, le=2**53, description="a position")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    """List decisions, contacts, outcomes and all else of a customer, newest first.

    A customer whom nobody knows has an empty list.
    """

    def read(ledger: Ledger) -> dict[str, Any]:
        found = ledger.mentions(customer, before, limit + 1)
        entries = [_entry(*mention) for mention in found[:limit]]
        more = len(found) > limit
        return {
            "customer": customer,
            "entries": entries,
            "before": entries[-1]["position"] if more else None,
        }

    answer = await asyncio.shield(runtime_of(request).writer.submit(read))
    return Response(orjson.dumps(answer), media_type="application/json")


def _entry(position: int, kind: EntryKind, body: Any) -> dict[str, Any]:
    """Shorten a decision to what is read in a list; its id leads to the rest."""
    if kind == "decision":
        short = {name: body[name] for name in _DECISION if name in body}
        short["action_id"] = body["actions"][body["action"]]
        short["propensity"] = body["distribution"][body["action"]]
        body = short
    at = body.get("at") or body.get("event", {}).get("at")
    return {"position": position, "kind": kind, "at": at, "body": body}


@router.delete("/{customer:path}", response_model=ErasedAnswer, responses=problems(422, 503))
async def erase_customer(customer: CustomerId, request: Request) -> Response:
    """Erase a customer from the ledger; the answer is the proof.

    The next shipping of logs removes the customer from files that are out already.
    """
    runtime, actor = runtime_of(request), actor_of(request)
    work = runtime.writer.submit(lambda ledger: runtime.eraser.erase(ledger, customer, actor))
    erased = await asyncio.shield(work)
    overwritten = await asyncio.shield(runtime.scrub())
    answer = asdict(erased) | {"overwritten": overwritten}
    return Response(orjson.dumps(answer), media_type="application/json")
