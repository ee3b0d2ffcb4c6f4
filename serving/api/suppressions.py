"""Suppressions: who is not to be contacted any more, whatever an agent says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from agents.units import Name
from serving.api.problems import BODY, problems
from serving.api.strict import StrictRoute
from serving.api.wire import Body, Identifier, Instant
from serving.hearing.objections import Honoured, Objection
from serving.ledger import Ledger
from serving.runtime import runtime_of
from serving.security.principal import actor_of

router = APIRouter(prefix="/v1/suppressions", tags=["suppressions"], route_class=StrictRoute)

Why = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class LiftBody(Body):
    """POST /v1/suppressions/lift."""

    customer: Identifier = Field(description="the caller's id of the customer")
    channels: Annotated[list[Name], Field(min_length=1, max_length=100)] | None = Field(
        None, description="which; all if left out"
    )
    reason: Why = Field("", description="for the log; no personal data")
    at: Instant | None = Field(None, description="simulated time; only with --clock driven")

    def asked(self, actor: str, until: datetime | None = None) -> Objection:
        """Return what is asked for, by whom."""
        return Objection(
            self.customer, tuple(self.channels or ()), until, self.reason, actor, self.at
        )


class SuppressionBody(LiftBody):
    """POST /v1/suppressions."""

    until: Instant | None = Field(None, description="when it ends; never if left out")


class SuppressionAnswer(BaseModel):
    """What holds now for a customer."""

    customer: str = Field(description="keyed hash of the id, as in exported logs")
    suppressed: dict[str, datetime | None] = Field(
        description="by channel, `*` for all, until when; null is for good"
    )
    released: list[str] = Field(description="decisions whose planned contacts must not be sent")
    position: int = Field(description="of the entry in the log")


@router.post("", response_model=SuppressionAnswer, responses=problems(*BODY))
async def suppress(body: SuppressionBody, request: Request) -> Response:
    """Contact a customer no more: no decision committed after this answer does.

    What is said already is never shortened. It outlives an erasure of the customer.
    """
    asked = body.asked(actor_of(request), body.until)
    objections = runtime_of(request).intake.objections
    return await _answer(request, lambda ledger: objections.suppress(ledger, asked))


@router.post("/lift", response_model=SuppressionAnswer, responses=problems(*BODY))
async def lift(body: LiftBody, request: Request) -> Response:
    """Let a customer be contacted again; what was said of all channels goes only without any."""
    asked = body.asked(actor_of(request))
    objections = runtime_of(request).intake.objections
    return await _answer(request, lambda ledger: objections.lift(ledger, asked))


async def _answer(request: Request, work: Callable[[Ledger], Honoured]) -> Response:
    honoured = await asyncio.shield(runtime_of(request).writer.submit(work))
    return Response(orjson.dumps(asdict(honoured)), media_type="application/json")
