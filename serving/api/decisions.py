"""Decisions: make one."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Header, Request, Response
from starlette.types import Scope

from serving.api.answers import decision_answer
from serving.api.options import DecisionWithOptions, alternatives, insight_of
from serving.api.problems import BODY, problems
from serving.api.reply import Reply
from serving.api.strict import StrictRoute, fingerprint
from serving.api.wire import Asking, DecisionBody, Identifier, Line
from serving.deciding.attempt import submit_decision
from serving.deciding.decider import DecisionRequest
from serving.runtime import runtime_in
from serving.watching.metrics import Stopwatch
from serving.watching.watch import note

_REPLAYED = ((b"idempotent-replay", b"true"),)

router = APIRouter(prefix="/v1/decisions", tags=["decisions"], route_class=StrictRoute)


def request_of(asking: Asking, line: Line, key: str | None) -> DecisionRequest:
    """Make the question of a body, or of a line of a batch: the same for the same content."""
    return DecisionRequest(
        agents=asking.asked,
        customer=line.customer,
        features=line.features,
        fingerprint=fingerprint(
            asking.agent, asking.agents, line.customer, line.features, line.placement,
            line.channels, asking.at,
        ),
        key=key,
        at=asking.at,
        placement=line.placement or "",
        channels=tuple(line.channels or ()),
    )  # fmt: skip


@router.post("", response_model=DecisionWithOptions, responses=problems(*BODY, 404))
async def make_decision(
    body: DecisionBody,
    request: Request,
    idempotency_key: Annotated[Identifier | None, Header()] = None,
) -> Response:
    """Choose the best allowed action for one customer now, or none.

    Of several `agents`, arbitration chooses one; only its decision is made.
    With an `Idempotency-Key`, a retry of the same request returns the same decision, with the
    alternatives and the explanation that this request asks for.
    """
    return await answer_decision(body, request.scope, idempotency_key)


async def answer_decision(body: DecisionBody, scope: Scope, key: str | None) -> Response:
    """Do what `make_decision` says, for a request of which there is only the ASGI scope."""
    runtime = runtime_in(scope)
    ask = request_of(body, body, key)
    watch = Stopwatch()
    work = submit_decision(runtime.writer, runtime.decider, ask, watch)
    decided = await work  # if the caller goes, only the waiting ends; the job is queued
    runtime.meters.decided(decided.decision, watch, replayed=decided.replayed)
    note(scope, decision_id=decided.decision.decision_id)
    answer = decision_answer(decided)
    decision, revision = decided.decision, decided.revision
    answer["alternatives"] = (
        None if body.top is None else alternatives(decision, revision, body.top)
    )
    answer["insight"] = (
        await insight_of(runtime.agents, decision, revision) if body.explain else None
    )
    return Reply(orjson.dumps(answer), headers=_REPLAYED if decided.replayed else ())
