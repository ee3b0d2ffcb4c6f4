"""Outcomes: what a customer did, after a decision or of their own accord, and corrections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, ValidationError, WithJsonSchema
from starlette.types import Scope

from agents.errors import NextbestError
from serving.api.answers import OutcomeAnswer, correction_answer, outcome_answer
from serving.api.problems import BODY, Problem, document, explain, problems, refusal
from serving.api.reply import Reply
from serving.api.strict import LargeRoute, StrictRoute, fingerprint
from serving.api.wire import Body, OutcomeBody
from serving.deciding.foresee import foresee_outcome
from serving.hearing.corrector import CorrectionRequest
from serving.hearing.reported import OutcomeRequest
from serving.ledger import Ledger, LedgerReader
from serving.ledger.optimistic import Changes
from serving.runtime import Runtime, runtime_in, runtime_of

router = APIRouter(prefix="/v1/outcomes", tags=["outcomes"], route_class=StrictRoute)
batch_router = APIRouter(prefix="/v1/outcomes", tags=["outcomes"], route_class=LargeRoute)

CHUNK = 32
"""Outcomes of one batch that are recorded before others get their turn."""

_AS_BODY = {"description": "as the body of POST /v1/outcomes; what it is not is answered so"}

Answer = dict[str, Any]


class OutcomesBody(Body):
    """POST /v1/outcomes/batch."""

    outcomes: Annotated[
        list[Annotated[Any, WithJsonSchema(_AS_BODY)]], Field(min_length=1, max_length=1_000)
    ] = Field(description="each is answered by itself")


class OutcomeResult(BaseModel):
    """What became of one outcome of a batch: its answer, or the problem with it."""

    status: int
    answer: OutcomeAnswer | None
    problem: Problem | None


class OutcomesAnswer(BaseModel):
    """What became of each outcome of a batch, in the order asked."""

    outcomes: list[OutcomeResult]


@router.post(
    "", response_model=OutcomeAnswer,
    responses=problems(*BODY, 404, 409)
    | {202: {"model": OutcomeAnswer, "description": "Kept until its decision is there"}},
)  # fmt: skip
async def record_outcome(body: OutcomeBody, request: Request) -> Response:
    """Record one outcome of a decision, or an event of a customer; each `outcome_id` once.

    With `adjusts` it corrects one that was recorded before: takes it back, or restates its amount.
    """
    return await answer_outcome(body, request.scope)


async def answer_outcome(body: OutcomeBody, scope: Scope) -> Response:
    """Do what `record_outcome` says, for a request of which there is only the ASGI scope."""
    answer = await _submit(runtime_in(scope), body)  # the job goes on if the caller goes
    return Reply(orjson.dumps(answer), _status(answer))


@batch_router.post("/batch", response_model=OutcomesAnswer, responses=problems(*BODY))
async def record_outcomes(body: OutcomesBody, request: Request) -> Response:
    """Record up to 1,000 outcomes; one that is wrong voids no other.

    Those that were recorded stay so if the connection is cut; send the batch again, each counts
    once.
    """
    runtime = runtime_of(request)
    results: list[Answer] = []
    for first in range(0, len(body.outcomes), CHUNK):
        results += await _record_some(runtime, body.outcomes[first : first + CHUNK])
    return Response(orjson.dumps({"outcomes": results}), media_type="application/json")


async def _record_some(runtime: Runtime, items: Sequence[Any]) -> list[Answer]:
    """Record a chunk in one transaction; answer each item by itself."""
    read = [_read(item) for item in items]
    works = [_submit(runtime, each) for each in read if isinstance(each, OutcomeBody)]
    done = iter(await asyncio.shield(asyncio.gather(*works, return_exceptions=True)))
    return [
        _result(next(done)) if isinstance(each, OutcomeBody) else _refusal(each) for each in read
    ]


def _read(item: Any) -> OutcomeBody | Answer:
    """Read one outcome of a batch, or say what is wrong with it."""
    try:
        return OutcomeBody.model_validate(item)
    except ValidationError as error:
        fault = explain(error.errors(include_url=False, include_context=False)[0])
        return document(422, "The request does not fit", fault)


def _submit(runtime: Runtime, body: OutcomeBody) -> asyncio.Future[Answer]:
    look = partial(foresee_outcome, runtime.agents, body.outcome_id, body.decision_id)
    check = None if body.adjusts is not None else _as_recorded
    return runtime.writer.submit(_job(runtime, body), look, check)


def _as_recorded(_ledger: LedgerReader, answer: Answer) -> tuple[Answer, Changes]:
    """An outcome asks nothing of the counters: it stands if what it asked about does."""
    return answer, ()


def _job(runtime: Runtime, body: OutcomeBody) -> Callable[[Ledger], Answer]:
    if body.adjusts is not None:
        correction = _correction(body, body.adjusts)
        return lambda ledger: correction_answer(
            runtime.intake.corrector.correct(ledger, correction)
        )
    outcome = request_of(body)
    return lambda ledger: outcome_answer(runtime.recorder.record(ledger, outcome))


def request_of(body: OutcomeBody) -> OutcomeRequest:
    """Make the report of a body that corrects nothing."""
    return OutcomeRequest(
        outcome_id=body.outcome_id,
        decision_id=body.decision_id or "",
        customer=body.customer or "",
        outcome=body.outcome or "",
        properties=body.properties,
        fingerprint=fingerprint(
            body.outcome_id, body.decision_id, body.customer, body.outcome, body.properties, body.at
        ),
        at=body.at,
    )


def _correction(body: OutcomeBody, adjusts: str) -> CorrectionRequest:
    properties = None if body.retract else body.properties
    return CorrectionRequest(
        outcome_id=body.outcome_id,
        adjusts=adjusts,
        fingerprint=fingerprint("correction", body.outcome_id, adjusts, properties, body.at),
        properties=properties,
        at=body.at,
    )


def _status(answer: Answer) -> int:
    return 202 if answer["pending"] else 200


def _result(done: Answer | BaseException) -> Answer:
    """Answer one item of a batch.

    Raises:
        BaseException: what is no refusal in words of our own.
    """
    if isinstance(done, NextbestError):
        return _refusal(document(**refusal(done)))
    if isinstance(done, BaseException):
        raise done
    return {"status": _status(done), "answer": done, "problem": None}


def _refusal(document: Answer) -> Answer:
    return {"status": document["status"], "answer": None, "problem": document}
