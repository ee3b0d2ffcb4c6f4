"""Outcomes: what a customer did, after a decision or of their own accord."""

from __future__ import annotations

import asyncio

import orjson
from fastapi import APIRouter, Request, Response

from serving.api.answers import OutcomeAnswer, outcome_answer
from serving.api.problems import BODY, problems
from serving.api.strict import StrictRoute, fingerprint
from serving.api.wire import OutcomeBody
from serving.recorder import OutcomeRequest
from serving.runtime import runtime_of

router = APIRouter(prefix="/v1/outcomes", tags=["outcomes"], route_class=StrictRoute)


@router.post("", response_model=OutcomeAnswer, responses=problems(*BODY, 404))
async def record_outcome(body: OutcomeBody, request: Request) -> Response:
    """Record one outcome of a decision, or an event of a customer; each `outcome_id` once."""
    runtime = runtime_of(request.app)
    ask = OutcomeRequest(
        outcome_id=body.outcome_id,
        decision_id=body.decision_id or "",
        customer=body.customer or "",
        outcome=body.outcome,
        properties=body.properties,
        fingerprint=fingerprint(
            body.outcome_id, body.decision_id, body.customer, body.outcome, body.properties, body.at
        ),
        at=body.at,
    )
    work = runtime.writer.submit(lambda ledger: runtime.recorder.record(ledger, ask))
    answer = outcome_answer(await asyncio.shield(work))
    return Response(orjson.dumps(answer), media_type="application/json")
