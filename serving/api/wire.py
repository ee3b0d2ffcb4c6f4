"""What comes over HTTP: requests, checked by pydantic."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from agents.units import Name, parse_instant

Identifier = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$"),
]
Instant = Annotated[datetime, BeforeValidator(parse_instant)]

_FEATURES = {
    "type": "object",
    "additionalProperties": {
        "type": ["boolean", "number", "string", "array", "null"],
        "items": {"type": "string"},
    },
}


class Body(BaseModel):
    """A request body: strict types, no unknown field, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class DecisionBody(Body):
    """POST /v1/decisions."""

    agent: Name | None = Field(None, description="which agent decides")
    agents: Annotated[list[Name], Field(min_length=1, max_length=50)] | None = Field(
        None, description="instead: several agents, of which arbitration chooses one"
    )
    customer: Identifier = Field(description="the caller's id of the customer")
    # Values are checked against the customer schema, whose errors say what each field expects.
    features: Annotated[dict[str, object], WithJsonSchema(_FEATURES)] = Field(
        default_factory=dict, description="fields of the workspace's customer schema"
    )
    placement: Name | None = Field(None, description="the slot of an on-site channel to be filled")
    at: Instant | None = Field(None, description="simulated time; only with --clock driven")

    @property
    def asked(self) -> tuple[str, ...]:
        """The agents that may answer."""
        return tuple(self.agents or ()) if self.agent is None else (self.agent,)

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        if (self.agent is None) == (self.agents is None):
            raise ValueError("expected 'agent' or 'agents', one of them")
        if len(set(self.asked)) < len(self.asked):
            raise ValueError("expected each of 'agents' once, got one of them twice")
        return self


class OutcomeBody(Body):
    """POST /v1/outcomes."""

    outcome_id: Identifier = Field(description="the caller's id; the same id counts once")
    decision_id: Identifier | None = Field(None, description="the decision that it followed")
    customer: Identifier | None = Field(
        None, description="instead: whose event it is; credited by last touch, or to no decision"
    )
    outcome: Name = Field(description="the word of an outcome, or an event of the workspace")
    properties: dict[Name, float] = Field(
        default_factory=dict, max_length=20, description="numbers that came with it: an amount"
    )
    at: Instant | None = Field(None, description="simulated time; only with --clock driven")

    @model_validator(mode="after")
    def _of_one(self) -> Self:
        if (self.decision_id is None) == (self.customer is None):
            raise ValueError("expected 'decision_id' or 'customer', one of them")
        return self
