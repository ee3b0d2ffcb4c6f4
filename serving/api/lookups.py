"""Looking a decision up: what was sent, why, what barred the others, how it performed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from agents.decisions import OutcomeEvent
from agents.errors import UnknownNameError
from agents.revision import Revision
from agents.rewards import closes_at, counted, reward
from serving.api.answers import (
    EXPLORED,
    ArbitrationAnswer,
    ContactAnswer,
    ContentAnswer,
    EventAnswer,
    InstantFeature,
    PastEventAnswer,
    action_answer,
)
from serving.api.options import InsightAnswer, insight_of
from serving.api.problems import problems
from serving.api.strict import StrictRoute
from serving.api.wire import Identifier
from serving.ledger import Ledger, StoredDecision
from serving.ledger.deliveries import Delivery, DeliveryState
from serving.reports.replays import Verdict, replayed
from serving.runtime import Runtime, runtime_of

router = APIRouter(prefix="/v1/decisions", tags=["decisions"], route_class=StrictRoute)


class CountedAnswer(BaseModel):
    """An outcome that counts towards the reward."""

    outcome: str
    outcome_id: str
    at: datetime
    value: float = Field(description="in currency, the outcome's weight in it")


class ReplayAnswer(BaseModel):
    """Whether recomputing the decision from what was logged gives the same."""

    verdict: Verdict = Field(description="`unknown` if the snapshot that decided is there no more")
    difference: float | None = Field(description="largest difference of a probability")


class ShadowAnswer(BaseModel):
    """What the agent's shadow would have decided; `failed` alone if it could not."""

    revision: str
    snapshot: str | None = None
    actions: list[str] | None = None
    mask: list[str | None] | None = None
    distribution: list[float] | None = None
    action: str | None = Field(None, description="id of the action that it would have drawn")
    failed: str | None = Field(None, description="what kind of error it met")


class WholeDecision(BaseModel):
    """A decision with everything needed to audit and replay it; lists run over `actions`."""

    position: int
    decision_id: str
    at: datetime
    agent: str
    revision: str
    policy: str
    snapshot: str
    group: str
    reason: str
    customer: str
    features: dict[str, bool | int | float | str | list[str] | InstantFeature]
    contacts: list[ContactAnswer]
    events: list[PastEventAnswer]
    usage: dict[str, float] = Field(description="what was used of budgets, by counter and bucket")
    placement: str
    channels: list[str] = Field(description="the only ones that could be used; empty for all")
    suppressed: list[str] = Field(description="channels of an objection; `*` for all")
    actions: list[str]
    mask: list[str | None] = Field(description="why each action was barred, null if it was not")
    distribution: list[float]
    expected: list[float | None] = Field(description="expected reward of each action in currency")
    action: int = Field(description="position of the drawn action")
    action_id: str
    content: ContentAnswer | None = Field(description="what was sent; null for none")
    propensity: float
    floor: float
    explored: bool = Field(description=EXPLORED)
    send_at: datetime | None
    arbitration: ArbitrationAnswer | None
    shadow: ShadowAnswer | None = Field(description="null if the agent had no shadow")
    outcomes: list[EventAnswer]
    counted: list[CountedAnswer] = Field(description="what the reward is made of")
    delivery: DeliveryState | None = Field(
        description="what became of the contact, null if nobody has said"
    )
    made_at: datetime | None = Field(
        description="when the contact was made, if it was confirmed later than planned"
    )
    reward: float = Field(description="0 for a contact that was not made after all")
    closes_at: datetime
    replay: ReplayAnswer
    insight: InsightAnswer | None = Field(
        description="why it was chosen, by the snapshot that decided; null if not asked for, or if"
        " that snapshot is there no more"
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """All that the ledger knows of one decision."""

    stored: StoredDecision
    revision: Revision
    events: list[OutcomeEvent]
    delivery: Delivery | None


def _find(runtime: Runtime, ledger: Ledger, decision_id: str) -> _Found:
    stored = ledger.find_decision(decision_id)
    if stored is None:
        raise UnknownNameError(f"there is no decision {decision_id!r}")
    revision = runtime.agents.deciding(ledger, stored.decision)
    events, delivery = ledger.standing_events(decision_id), ledger.delivery(decision_id)
    return _Found(stored, revision, events, delivery)


@router.get("/{decision_id}", response_model=WholeDecision, responses=problems(404, 422, 503))
async def get_decision(
    decision_id: Identifier,
    request: Request,
    explain: Annotated[bool, Query(description="also tell why it was chosen")] = False,
) -> Response:
    """Return a decision whole: what was sent, what barred the others, how it performed.

    It is recomputed from the logged context, mask and snapshot, and the answer says whether that
    gives the same distribution and the same draw.
    """
    runtime = runtime_of(request)
    work = runtime.writer.submit(lambda ledger: _find(runtime, ledger, decision_id))
    found = await asyncio.shield(work)
    answer = await asyncio.to_thread(_whole, runtime, found)
    decision = found.stored.decision
    answer["insight"] = (
        await insight_of(runtime.agents, decision, found.revision) if explain else None
    )
    return Response(orjson.dumps(answer), media_type="application/json")


def _whole(runtime: Runtime, found: _Found) -> dict[str, Any]:
    decision, revision = found.stored.decision, found.revision
    action, agent = revision.actions[decision.action], revision.agent
    delivery = found.delivery
    gone = delivery is not None and delivery.given_back
    content = None if action.is_none else revision.content(action, decision.context)
    verdict, difference = replayed(
        runtime.agents.snapshots, decision, revision, runtime.decider.keys.draw
    )
    return decision.to_record() | {
        "position": found.stored.position,
        "action_id": decision.action_id,
        "content": action_answer(action, decision.send_at, content)["content"],
        "propensity": decision.propensity,
        "arbitration": found.stored.arbitration,
        "shadow": found.stored.shadow,
        "outcomes": [event.to_record() for event in found.events],
        "counted": [
            {
                "outcome": entry.outcome,
                "outcome_id": entry.event.outcome_id,
                "at": entry.event.at.isoformat(),
                "value": entry.value,
            }
            for entry in counted(agent, decision.at, () if gone else found.events)
        ],
        "delivery": None if delivery is None else delivery.state,
        "made_at": None if delivery is None or delivery.late is None else delivery.late.isoformat(),
        "reward": 0.0 if gone else reward(agent, action, decision.at, found.events),
        "closes_at": closes_at(agent, decision.at).isoformat(),
        "replay": {"verdict": verdict, "difference": difference},
    }
