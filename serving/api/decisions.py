"""Decisions: make one, look one up."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Request, Response

from agents.errors import UnknownNameError
from agents.rewards import closes_at, reward
from serving.api.answers import DecisionAnswer, WholeDecision, decision_answer
from serving.api.problems import BODY, problems
from serving.api.strict import StrictRoute, fingerprint
from serving.api.wire import DecisionBody, Identifier
from serving.decider import DecisionRequest
from serving.ledger import Ledger
from serving.runtime import Runtime, runtime_of

router = APIRouter(prefix="/v1/decisions", tags=["decisions"], route_class=StrictRoute)


@router.post("", response_model=DecisionAnswer, responses=problems(*BODY, 404))
async def make_decision(
    body: DecisionBody,
    request: Request,
    idempotency_key: Annotated[Identifier | None, Header()] = None,
) -> Response:
    """Choose the best allowed action for one customer now, or none.

    Of several `agents`, arbitration chooses one; only its decision is made.
    With an `Idempotency-Key`, a retry of the same request returns the same decision.
    """
    runtime = runtime_of(request.app)
    ask = DecisionRequest(
        agents=body.asked,
        customer=body.customer,
        features=body.features,
        fingerprint=fingerprint(
            body.agent, body.agents, body.customer, body.features, body.placement, body.at
        ),
        key=idempotency_key,
        at=body.at,
        placement=body.placement or "",
    )
    work = runtime.writer.submit(lambda ledger: runtime.decider.decide(ledger, ask))
    decided = await asyncio.shield(work)
    headers = {"Idempotent-Replay": "true"} if decided.replayed else None
    return Response(
        orjson.dumps(decision_answer(decided)), headers=headers, media_type="application/json"
    )


def _whole(runtime: Runtime, ledger: Ledger, decision_id: str) -> dict[str, Any]:
    stored = ledger.find_decision(decision_id)
    if stored is None:
        raise UnknownNameError(f"there is no decision {decision_id!r}")
    decision = stored.decision
    revision = runtime.agents.revision(ledger, decision.revision)
    events = ledger.find_events(decision_id)
    return decision.to_record() | {
        "position": stored.position,
        "action_id": decision.action_id,
        "propensity": decision.propensity,
        "arbitration": stored.arbitration,
        "outcomes": [event.to_record() for event in events],
        "reward": reward(revision.agent, revision.actions[decision.action], decision.at, events),
        "closes_at": closes_at(revision.agent, decision.at).isoformat(),
    }


@router.get("/{decision_id}", response_model=WholeDecision, responses=problems(404, 422, 503))
async def get_decision(decision_id: Identifier, request: Request) -> Response:
    """Return a decision whole: context, every action's reason or probability, outcomes, reward."""
    runtime = runtime_of(request.app)
    work = runtime.writer.submit(lambda ledger: _whole(runtime, ledger, decision_id))
    return Response(orjson.dumps(await asyncio.shield(work)), media_type="application/json")
