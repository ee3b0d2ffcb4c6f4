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


def _as_whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_as_whole)
"""Lets JSON write a whole number as 24.0; stands behind the number's own bounds."""

Channels = Annotated[list[Name], Field(min_length=1, max_length=50)]
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


# Values are checked against the customer schema, whose errors say what each field expects.
Features = Annotated[dict[str, object], WithJsonSchema(_FEATURES)]


class Asking(Body):
    """Who is asked to decide, and when."""

    agent: Name | None = Field(None, description="which agent decides")
    agents: Annotated[list[Name], Field(min_length=1, max_length=50)] | None = Field(
        None, description="instead: several agents, of which arbitration chooses one"
    )
    at: Instant | None = Field(None, description="simulated time; only with --clock driven")

    @property
    def asked(self) -> tuple[str, ...]:
        """The agents that may answer."""
        return tuple(self.agents or ()) if self.agent is None else (self.agent,)

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        if (self.agent is None) == (self.agents is None):
            raise ValueError("expected 'agent' or 'agents', one of them")
        if self.agents is not None and len(set(self.agents)) < len(self.agents):
            raise ValueError("expected each of 'agents' once, got one of them twice")
        return self


class Line(Body):
    """What is asked about one customer."""

    customer: Identifier = Field(description="the caller's id of the customer")
    features: Features = Field(
        default_factory=dict, description="fields of the workspace's customer schema"
    )
    placement: Name | None = Field(None, description="the slot of an on-site channel to be filled")
    channels: Channels | None = Field(None, description="the only channels that may be used")


class DecisionBody(Line, Asking):
    """POST /v1/decisions."""

    top: Annotated[int, Field(ge=1, le=50), WHOLE] | None = Field(
        None, description="how many alternatives to rank beside the decision"
    )
    explain: bool = Field(False, description="whether to tell why it was made; takes longer")


class OutcomeBody(Body):
    """POST /v1/outcomes."""

    outcome_id: Identifier = Field(description="the caller's id; the same id counts once")
    decision_id: Identifier | None = Field(None, description="the decision that it followed")
    customer: Identifier | None = Field(
        None, description="instead: whose event it is; credited by last touch, or to no decision"
    )
    outcome: Name | None = Field(
        None, description="the word of an outcome, or an event of the workspace"
    )
    properties: dict[Name, float] = Field(
        default_factory=dict,
        max_length=20,
        description="numbers that came with it: an amount",
        json_schema_extra={"additionalProperties": False},  # no other names
    )
    adjusts: Identifier | None = Field(
        None, description="instead of all these: the outcome_id of what is corrected"
    )
    retract: bool = Field(False, description="it never happened; else `properties` restate it")
    at: Instant | None = Field(
        None, description="when it happened; with --clock driven the simulated time, required"
    )

    @model_validator(mode="after")
    def _of_one(self) -> Self:
        if self.adjusts is not None:
            return self._adjusting()
        if self.outcome is None or self.retract:
            raise ValueError("expected 'outcome', its word, and 'retract' beside 'adjusts' only")
        if (self.decision_id is None) == (self.customer is None):
            raise ValueError("expected 'decision_id' or 'customer', one of them")
        return self

    def _adjusting(self) -> Self:
        if (self.decision_id, self.customer, self.outcome) != (None, None, None):
            raise ValueError("expected no 'decision_id', 'customer' or 'outcome' with 'adjusts'")
        if self.retract == ("properties" in self.model_fields_set):
            raise ValueError("expected 'retract: true' or new 'properties', one of them")
        return self
