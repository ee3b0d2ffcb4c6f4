"""What goes out over HTTP: plain JSON values, and the models that describe them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from agents.actions import Action
from agents.content import Rendered
from agents.decisions import Decision
from serving.decider import Decided
from serving.recorder import Recorded
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
    explored: bool
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
    explored: bool
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
    actions: list[str]
    mask: list[str | None] = Field(description="why each action was barred, null if it was not")
    distribution: list[float]
    expected: list[float | None] = Field(description="expected reward of each action in currency")
    action: int = Field(description="position of the drawn action")
    action_id: str
    propensity: float
    floor: float
    explored: bool
    send_at: datetime | None
    arbitration: ArbitrationAnswer | None
    outcomes: list[EventAnswer]
    reward: float
    closes_at: datetime


class OutcomeAnswer(BaseModel):
    """A recorded outcome: what it was credited to, what it counts for, whether it was known."""

    outcome_id: str
    decision_id: str = Field(description="empty if it followed no decision")
    counted: list[str] = Field(description="the agent's outcomes that it counts for")
    replayed: bool


class AgentAnswer(BaseModel):
    """An agent's active revision."""

    agent: str
    revision: str
    actions: int
    changed: bool


class ListedAgent(BaseModel):
    """The name of an agent and its active revision."""

    agent: str
    revision: str


class AgentText(ListedAgent):
    """An agent's active revision and the YAML it was submitted as."""

    yaml: str


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
    """Return what `DecisionAnswer` describes, as JSON values."""
    decision = decided.decision
    plain = ("decision_id", "agent", "revision", "policy", "snapshot", "group", "reason")
    return {name: getattr(decision, name) for name in plain} | {
        "at": decision.at.isoformat(),
        "action": _action(decided.revision.actions[decision.action], decision, decided.content),
        "propensity": decision.propensity,
        "explored": decision.explored,
        "arbitration": decided.arbitration,
    }


def _action(action: Action, decision: Decision, content: Rendered | None) -> dict[str, Any]:
    names = ("id", "offer", "kind", "variant", "channel", "window", "includes")
    return {name: getattr(action, name) for name in names} | {
        "send_at": None if decision.send_at is None else decision.send_at.isoformat(),
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
    }
