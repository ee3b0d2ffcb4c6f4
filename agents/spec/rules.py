"""Guardrails as they are written: one document a rule, told apart by `rule`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from agents.spec.base import Cost, Document, Expression, OfferKind, Period, Scope, Selector
from agents.units import Duration, Name

Customer = Annotated[str, StringConstraints(min_length=1, max_length=256)]
FOREVER = timedelta(days=3_650)


class Rule(Document):
    """What every guardrail may say: which actions it speaks of."""

    on: Selector | None = Field(None, description="only these actions; all if not said")
    except_: Selector | None = Field(None, alias="except", description="but not these")


class EligibilitySpec(Rule):
    """Bars unless a CEL expression is exactly true."""

    rule: Literal["eligibility"]
    when: Expression = Field(description="CEL over customer fields; must be boolean")


class SuppressionSpec(Rule):
    """Bars unless a CEL expression is exactly false: an open complaint, an outage."""

    rule: Literal["suppression"]
    when: Expression = Field(description="CEL over customer fields; must be boolean")


class ActionSuppressionSpec(Rule):
    """Bars each supplied action for which a CEL expression is not exactly false.

    Only for agents with `supplied`: what an action is, only its features say.
    """

    rule: Literal["action_suppression"]
    when: Expression = Field(
        description="CEL over `action` and `context`, the features that came with the request,"
        " `action_id` and customer fields; true or false"
    )


class FrequencyCapSpec(Rule):
    """At most `max` contacts in a span of time, counted over `scope`."""

    rule: Literal["frequency_cap"]
    max: int = Field(ge=0, le=10**9, description="contacts, or responses")
    per: Duration | Period = Field(
        description="rolling span such as 7d, or calendar period such as week"
    )
    window: Literal["rolling", "calendar"] = Field(
        "rolling", description="any span of `per`, or calendar periods in the workspace's zone"
    )
    scope: Scope = Field("all", description="what is counted together")
    counts: Literal["decision", "delivery", "response"] = Field(
        "decision",
        description="contacts decided, those of them not reported as failed, or responses",
    )
    for_: Literal["customer", "total"] = Field(
        "customer", alias="for", description="counted for one customer or over all of them"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if isinstance(self.per, str) != (self.window == "calendar"):
            raise ValueError(
                "expected 'window: calendar' with a period such as week, and 'window: rolling'"
                " with a span such as 7d"
            )
        return self


class CooldownSpec(Rule):
    """After a contact, a response or a rejection, a pause in the same scope."""

    rule: Literal["cooldown"]
    pause: Duration = Field(description="how long nothing more is sent")
    scope: Scope = Field("offer", description="what pauses: whatever shares this with it")
    after: Literal["contact", "response", "rejection"] | tuple[Name, ...] = Field(
        "contact", description="a contact, any response, any rejection, or these events"
    )
    times: int = Field(1, ge=1, le=1_000, description="how many of them begin the pause")
    within: Duration | None = Field(None, description="the span in which they must fall")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.times > 1) != (self.within is not None):
            raise ValueError("expected 'times' above 1 and 'within' together, or neither")
        if self.after == ():
            raise ValueError("after: expected at least one event")
        return self


class EventSuppressionSpec(Rule):
    """An event ends what shares its scope: a purchase ends the offer."""

    rule: Literal["event_suppression"]
    after: tuple[Name, ...] = Field(min_length=1, description="events that end it")
    scope: Scope = Field("offer", description="what ends")
    for_: Duration = Field(FOREVER, alias="for", description="for how long; for good if not said")


class PrecedenceSpec(Rule):
    """An offer of a later kind is barred while one of an earlier kind is allowed."""

    rule: Literal["precedence"]
    order: tuple[OfferKind, ...] = Field(min_length=2, description="most important first")
    when: Expression | None = Field(None, description="CEL: holds only unless this is false")
    after: tuple[Name, ...] = Field((), description="holds only after one of these events")
    within: Duration | None = Field(None, description="for how long after such an event")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.order)) < len(self.order):
            raise ValueError("expected each kind of 'order' once, got one of them twice")
        if bool(self.after) != (self.within is not None):
            raise ValueError("expected 'after' and 'within' together, or neither")
        return self


class BudgetSpec(Rule):
    """At most so many contacts or so much money in a calendar period, over all customers."""

    rule: Literal["budget"]
    measure: Literal["contacts", "cost"] = Field("contacts", description="what is counted")
    max: Cost | None = Field(None, description="contacts or currency")
    min: int | None = Field(
        None,
        ge=1,
        le=10**9,
        description="contacts; while the period is behind this pace, a customer who may get one"
        " of these actions gets no other",
    )
    per: Period | None = Field(None, description="calendar period; the whole life if not said")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max is None and self.min is None:
            raise ValueError("expected 'max', 'min' or both")
        if self.min is not None and (self.measure != "contacts" or self.per is None):
            raise ValueError("expected 'measure: contacts' and a 'per' beside 'min'")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"expected min <= max, got {self.min} > {self.max:g}")
        return self


class ExclusionListSpec(Rule):
    """Customers who are never contacted."""

    rule: Literal["exclusion_list"]
    customers: tuple[Customer, ...] = Field((), max_length=100_000, description="their ids")
    file: str | None = Field(
        None, description="a text file in the workspace's folder with one id a line"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if bool(self.customers) == (self.file is not None):
            raise ValueError("expected 'customers' or 'file', one of them")
        return self


class ExclusiveSpec(Rule):
    """Of several agents only one speaks to a customer within a span."""

    rule: Literal["exclusive"]
    agents: tuple[Name, ...] = Field(min_length=2, description="agents that exclude each other")
    for_: Duration = Field(alias="for", description="how long the first keeps the customer")


class EscalationSpec(Rule):
    """A channel opens only after another one went unanswered."""

    rule: Literal["escalation"]
    from_: Name = Field(alias="from", description="channel that is tried first")
    to: Name = Field(description="channel that opens after it")
    unless: tuple[Name, ...] = Field(min_length=1, description="events that answer, such as opened")
    wait: Duration = Field(description="how long the first channel has to stay unanswered")
    within: Duration = Field(description="how long after the first contact the second may come")
    scope: Literal["agent", "offer"] = Field("offer", description="what both contacts share")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.from_ == self.to:
            raise ValueError(f"expected two different channels, got {self.to!r} twice")
        if self.wait >= self.within:
            raise ValueError("expected 'wait' to be shorter than 'within'")
        return self


class Step(Selector):
    """One step of a sequence: which actions take it, and how long after the step before."""

    after: Duration | None = Field(None, description="least time after the step before")


class SequenceSpec(Rule):
    """Actions in an order: each step opens the next."""

    rule: Literal["sequence"]
    steps: tuple[Step, ...] = Field(
        min_length=2,
        max_length=20,
        description="in order; an action takes the step whose lists it fits",
    )
    within: Duration = Field(description="how long after one step the next may come")
    restart: Duration = Field(description="how long after its first step it may begin again")
    until: tuple[Name, ...] = Field((), description="events that end it until it may begin again")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.steps[0].after is not None:
            raise ValueError("expected no 'after' in the first step; there is none before it")
        waits = [step.after for step in self.steps[1:]]
        if any(wait is not None and wait >= self.within for wait in waits):
            raise ValueError("expected every 'after' to be shorter than 'within'")
        return self


GuardrailSpec = Annotated[
    ActionSuppressionSpec
    | BudgetSpec
    | CooldownSpec
    | EligibilitySpec
    | EscalationSpec
    | EventSuppressionSpec
    | ExclusionListSpec
    | ExclusiveSpec
    | FrequencyCapSpec
    | PrecedenceSpec
    | SequenceSpec
    | SuppressionSpec,
    Field(discriminator="rule"),
]
