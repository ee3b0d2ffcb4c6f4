"""Deliveries: may a contact be sent now, and what became of it."""

from __future__ import annotations

import asyncio
from typing import Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from serving.api.problems import BODY, problems
from serving.api.strict import StrictRoute
from serving.api.wire import Body, Identifier, Instant
from serving.runtime import runtime_of

router = APIRouter(prefix="/v1/decisions", tags=["decisions"], route_class=StrictRoute)


class DeliveryBody(Body):
    """POST /v1/decisions/{decision_id}/delivery."""

    state: Literal["delivered", "released"] = Field(
        description="delivered: it is sent now, or just was; released: it will not be sent"
    )
    at: Instant | None = Field(None, description="simulated time; only with --clock driven")


class DeliveryAnswer(BaseModel):
    """What has become of a contact; `expired` if nobody confirmed it in time."""

    decision_id: str
    state: Literal["delivered", "released", "expired"]
    replayed: bool = Field(description="it was so before")


@router.post(
    "/{decision_id}/delivery", response_model=DeliveryAnswer, responses=problems(*BODY, 404, 409)
)
async def report_delivery(
    decision_id: Identifier, body: DeliveryBody, request: Request
) -> Response:
    """Say that a contact is being sent, or that it will not be.

    Where the agent has `confirm`, send only after `delivered` was answered with 200: 409 means
    that it must not be sent. What is released uses nothing and teaches nothing. What a loop has
    decided is learned once, when the window of its reward has ended: from then on it cannot be
    released (409), unless it was deferred and never activated.
    """
    runtime = runtime_of(request)
    work = runtime.writer.submit(
        lambda ledger: runtime.intake.deliverer.report(ledger, decision_id, body.state, body.at)
    )
    told = await asyncio.shield(work)
    answer = {"decision_id": decision_id, "state": told.state, "replayed": told.replayed}
    return Response(orjson.dumps(answer), media_type="application/json")
