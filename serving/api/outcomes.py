"""Outcomes: what happened after a decision."""

from __future__ import annotations

import asyncio

import orjson
from fastapi import APIRouter, Request, Response

from serving.api.problems import BODY, problems
from serving.api.strict import StrictRoute, fingerprint
from serving.api.wire import OutcomeAnswer, OutcomeBody, outcome_answer
from serving.decider import OutcomeRequest
from serving.runtime import runtime_of

router = APIRouter(prefix="/v1/outcomes", tags=["outcomes"], route_class=StrictRoute)


@router.post("", response_model=OutcomeAnswer, responses=problems(*BODY, 404))
async def record_outcome(body: OutcomeBody, request: Request) -> Response:
    """Record one outcome of a decision; the same `outcome_id` is recorded once."""
    runtime = runtime_of(request.app)
    ask = OutcomeRequest(
        outcome_id=body.outcome_id,
        decision_id=body.decision_id,
        outcome=body.outcome,
        fingerprint=fingerprint(body.outcome_id, body.decision_id, body.outcome, body.at),
        at=body.at,
    )
    work = runtime.writer.submit(lambda ledger: runtime.decider.record(ledger, ask))
    answer = outcome_answer(await asyncio.shield(work))
    return Response(orjson.dumps(answer), media_type="application/json")
