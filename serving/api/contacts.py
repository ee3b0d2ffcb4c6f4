"""Contacts: those that other systems, or people, have made."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import datetime

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from agents.spec import OfferKind
from agents.units import Name
from serving.api.problems import BODY, problems
from serving.api.strict import StrictRoute, fingerprint
from serving.api.wire import Body, Identifier, Instant
from serving.hearing.elsewhere import ContactRequest
from serving.runtime import runtime_of

router = APIRouter(prefix="/v1/contacts", tags=["contacts"], route_class=StrictRoute)


class ContactBody(Body):
    """POST /v1/contacts."""

    contact_id: Identifier = Field(description="the caller's id; the same id counts once")
    customer: Identifier = Field(description="who was contacted")
    channel: Name = Field(description="of the workspace")
    agent: Name | None = Field(None, description="the agent for which it counts, if any")
    offer: Name | None = Field(None, description="that agent's offer which was made")
    kind: OfferKind | None = Field(
        None, description="what it was for; if unknown it counts for every rule"
    )
    at: Instant | None = Field(
        None, description="when it was made, now if not said; required with --clock driven"
    )


class OverrunAnswer(BaseModel):
    """A cap that was used up already: no decision could have kept it."""

    agent: str
    guardrail: str
    reason: str


class ContactMade(BaseModel):
    """A contact as it counts from now on."""

    contact_id: str
    at: datetime
    overruns: list[OverrunAnswer] = Field(description="caps that do not hold because of it")
    replayed: bool = Field(description="it was recorded before")


@router.post("", response_model=ContactMade, responses=problems(*BODY, 404))
async def record_contact(body: ContactBody, request: Request) -> Response:
    """Count a contact made elsewhere against the caps and cooldowns of every later decision."""
    runtime = runtime_of(request)
    ask = ContactRequest(
        contact_id=body.contact_id,
        customer=body.customer,
        channel=body.channel,
        fingerprint=fingerprint(
            body.contact_id, body.customer, body.channel, body.agent, body.offer, body.kind, body.at
        ),
        agent=body.agent or "",
        offer=body.offer or "",
        kind=body.kind or "",
        at=body.at,
    )
    work = runtime.writer.submit(lambda ledger: runtime.intake.witness.record(ledger, ask))
    counted = await asyncio.shield(work)
    return Response(orjson.dumps(asdict(counted)), media_type="application/json")
