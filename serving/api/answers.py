"""What goes out over HTTP: values for orjson, which writes instants, and what describes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from agents.actions import Action
from agents.content import Rendered
from serving.deciding.decider import Decided
from serving.hearing.corrector import Corrected
from serving.hearing.reported import Recorded
from serving.settings import ClockKind


class ContentAnswer(BaseModel):
    """What the customer reads, in the customer's language."""

    subject: str
    text: str
    locale: str
    includes: dict[str, ContentAnswer] = Field(description="by offer, what is sent along")


class ActionAnswer(BaseModel):
    """The action of a decision, `none` with empty names."""

    id: str
    offer: str
    kind: str
    variant: str
    channel: str
    window: str
    includes: list[str] = Field(description="offers that are sent along")
    send_at: datetime | None
    content: ContentAnswer | None = Field(description="null for none")


EXPLORED = (
    "whether an allowed action that the policy takes for better was passed over: of a larger"
    " expected reward or, where it has none, of a larger probability before the floor"
)


class BidAnswer(BaseModel):
    """What one agent bid for the customer, and what was made of it."""

    agent: str
    value: float = Field(description="expected value of its own decision in currency")
    context_weight: float
    lever: float
    score: float
    probability: float


class ArbitrationAnswer(BaseModel):
    """Which of several agents decided, and why."""

    chosen: str
    bids: list[BidAnswer]
    explored: bool = Field(
        description="whether another agent than that of the largest score was drawn"
    )
    cost: float = Field(description="expected value that weights and levers cost, in currency")


class DecisionAnswer(BaseModel):
    """A decision as its caller needs it."""

    decision_id: str
    at: datetime
    agent: str
    revision: str
    policy: str
    snapshot: str
    group: str
    reason: str
    action: ActionAnswer
    propensity: float
    explored: bool = Field(description=EXPLORED)
    arbitration: ArbitrationAnswer | None = Field(description="null if one agent was asked")


class EventAnswer(BaseModel):
    """An outcome as it was recorded."""

    outcome_id: str
    decision_id: str
    outcome: str
    at: datetime
    properties: dict[str, float]
    customer: str


class ContactAnswer(BaseModel):
    """An earlier contact that the decision knew of."""

    at: datetime
    agent: str
    offer: str
    kind: str
    channel: str
    action: str
    includes: list[str]
    decision_id: str


class PastEventAnswer(ContactAnswer):
    """An earlier event that the decision knew of, with what it followed; empty if nothing."""

    event: str


class InstantFeature(BaseModel):
    """A feature that is an instant, to be told from text."""

    instant: datetime


class OutcomeAnswer(BaseModel):
    """A recorded outcome: what it was credited to, what it counts for, whether it was known."""

    outcome_id: str
    decision_id: str = Field(description="empty if it followed no decision")
    counted: list[str] = Field(description="the agent's outcomes that it counts for")
    replayed: bool
    pending: bool = Field(description="the decision is not there yet; it is waited for")
    adjusts: str | None = Field(description="of a correction: what it corrects")
    uncounted: list[str] = Field(description="the agent's outcomes that count once less by it")


class AliveAnswer(BaseModel):
    """The process answers."""

    status: Literal["alive"]


class ReadyAgent(BaseModel):
    """What decides for one agent; an empty snapshot is an untaught policy."""

    revision: str
    snapshot: str


class ReadyAnswer(BaseModel):
    """Decisions can be made."""

    status: Literal["ready"]
    clock: ClockKind
    agents: dict[str, ReadyAgent]


def decision_answer(decided: Decided) -> dict[str, Any]:
    """Return what `DecisionAnswer` describes, as values for orjson."""
    decision = decided.decision
    return {
        "decision_id": decision.decision_id,
        "agent": decision.agent,
        "revision": decision.revision,
        "policy": decision.policy,
        "snapshot": decision.snapshot,
        "group": decision.group,
        "reason": decision.reason,
        "at": decision.at,
        "action": action_answer(
            decided.revision.actions[decision.action], decision.send_at, decided.content
        ),
        "propensity": decision.propensity,
        "explored": decision.explored,
        "arbitration": decided.arbitration,
    }


def action_answer(
    action: Action, send_at: datetime | None, content: Rendered | None
) -> dict[str, Any]:
    """Return what `ActionAnswer` describes, as values for orjson."""
    return {
        "id": action.id,
        "offer": action.offer,
        "kind": action.kind,
        "variant": action.variant,
        "channel": action.channel,
        "window": action.window,
        "includes": action.includes,
        "send_at": send_at,
        "content": None if content is None else _content(content),
    }


def _content(content: Rendered) -> dict[str, Any]:
    return {
        "subject": content.subject,
        "text": content.text,
        "locale": content.locale,
        "includes": {offer: _content(words) for offer, words in content.includes.items()},
    }


def outcome_answer(recorded: Recorded) -> dict[str, Any]:
    """Return what `OutcomeAnswer` describes, as JSON values."""
    return {
        "outcome_id": recorded.event.outcome_id,
        "decision_id": recorded.event.decision_id,
        "counted": list(recorded.counted),
        "replayed": recorded.replayed,
        "pending": recorded.pending,
        "adjusts": None,
        "uncounted": [],
    }


def correction_answer(corrected: Corrected) -> dict[str, Any]:
    """Return what `OutcomeAnswer` describes of a correction, as JSON values."""
    return {
        "outcome_id": corrected.correction.correction_id,
        "decision_id": corrected.event.decision_id,
        "counted": [],
        "replayed": corrected.replayed,
        "pending": False,
        "adjusts": corrected.correction.outcome_id,
        "uncounted": list(corrected.lost),
    }
