"""What travels over HTTP: requests checked by pydantic, answers as plain JSON values."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from agents.units import Name, parse_instant
from serving.decider import Decided, Recorded
from serving.settings import ClockKind

Identifier = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$"),
]
Instant = Annotated[datetime, BeforeValidator(parse_instant)]

_FEATURES = {
    "type": "object",
    "additionalProperties": {"type": ["boolean", "number", "string", "null"]},
}


class Body(BaseModel):
    """A request body: strict types, no unknown field, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class DecisionBody(Body):
    """POST /v1/decisions."""

    agent: Name = Field(description="which agent decides")
    customer: Identifier = Field(description="the caller's id of the customer")
    # Values are checked against the customer schema, whose errors say what each field expects.
    features: Annotated[dict[str, object], WithJsonSchema(_FEATURES)] = Field(
        default_factory=dict, description="fields of the workspace's customer schema"
    )
    at: Instant | None = Field(None, description="simulated time; only with --clock driven")


class OutcomeBody(Body):
    """POST /v1/outcomes."""

    outcome_id: Identifier = Field(description="the caller's id; the same id counts once")
    decision_id: Identifier
    outcome: Name = Field(description="a declared outcome of the decision's agent")
    at: Instant | None = Field(None, description="simulated time; only with --clock driven")


class ActionAnswer(BaseModel):
    """The action of a decision, `none` with empty names."""

    id: str
    offer: str
    kind: str
    variant: str
    channel: str
    window: str
    text: str
    send_at: datetime | None


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


class EventAnswer(BaseModel):
    """An outcome as it was recorded."""

    outcome_id: str
    decision_id: str
    outcome: str
    at: datetime


class ContactAnswer(BaseModel):
    """An earlier contact that the decision knew of."""

    at: datetime
    agent: str
    offer: str
    kind: str
    channel: str
    action: str


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
    features: dict[str, bool | int | float | str]
    contacts: list[ContactAnswer]
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
    outcomes: list[EventAnswer]
    reward: float
    closes_at: datetime


class OutcomeAnswer(BaseModel):
    """A recorded outcome: whether it counts towards the reward, and whether it was known."""

    outcome_id: str
    counted: bool
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
    action = decided.revision.actions[decision.action]
    return {
        "decision_id": decision.decision_id,
        "at": decision.at.isoformat(),
        "agent": decision.agent,
        "revision": decision.revision,
        "policy": decision.policy,
        "snapshot": decision.snapshot,
        "group": decision.group,
        "reason": decision.reason,
        "action": {
            "id": action.id,
            "offer": action.offer,
            "kind": action.kind,
            "variant": action.variant,
            "channel": action.channel,
            "window": action.window,
            "text": action.text,
            "send_at": None if decision.send_at is None else decision.send_at.isoformat(),
        },
        "propensity": decision.propensity,
        "explored": decision.explored,
    }


def outcome_answer(recorded: Recorded) -> dict[str, Any]:
    """Return what `OutcomeAnswer` describes, as JSON values."""
    return {
        "outcome_id": recorded.event.outcome_id,
        "counted": recorded.counted,
        "replayed": recorded.replayed,
    }
