"""What a marketer writes: the workspace and its agents, as frozen documents."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from agents.units import Duration, LocalTime, Name, Zone

CURRENCY_PATTERN = r"^[A-Z]{3}$"

Expression = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Money = Annotated[float, Field(ge=-1e9, le=1e9)]
Cost = Annotated[float, Field(ge=0.0, le=1e9)]
OfferKind = Literal["service", "education", "retention", "promotion"]


class Document(BaseModel):
    """A part of a YAML document: frozen, strict, without unknown fields, NaN or infinity."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, populate_by_name=True
    )


class CustomerField(Document):
    """One declared field of a customer, by which contexts and expressions are checked."""

    type: Literal["integer", "number", "boolean", "category", "zone"] = Field(
        description="category is text from a list; zone is the customer's IANA time zone"
    )
    values: tuple[str, ...] = Field((), description="the allowed values of a category")
    min: float | None = Field(None, description="least number, inclusive")
    max: float | None = Field(None, description="greatest number, inclusive")
    required: bool = Field(False, description="refuse a context without it")
    feature: bool = Field(True, description="false keeps it out of every learner")

    @property
    def learnable(self) -> bool:
        """Whether learners and reward models may see it; a zone never is."""
        return self.feature and self.type != "zone"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.type == "category") != bool(self.values):
            raise ValueError("expected 'values' for a category, and for no other type")
        if len(set(self.values)) < len(self.values):
            raise ValueError("expected each of 'values' once, got one of them twice")
        numeric = self.type in ("integer", "number")
        if not numeric and (self.min is not None or self.max is not None):
            raise ValueError(f"expected 'min' and 'max' only for numbers, got type {self.type!r}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"expected min <= max, got {self.min:g} > {self.max:g}")
        return self


class LocalSpan(Document):
    """A daily span of local time, from inclusive to exclusive; it may cross midnight."""

    from_: LocalTime = Field(alias="from", description="local time at which it begins")
    to: LocalTime = Field(description="local time at which it ends")

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.from_ == self.to:
            raise ValueError(f"expected 'from' and 'to' to differ, got {self.to:%H:%M} twice")
        return self


class Channel(Document):
    """A way to reach a customer."""

    cost: Cost = Field(0.0, description="currency per contact")
    consent: Name | None = Field(None, description="boolean customer field that must be true")
    quiet_hours: LocalSpan | None = Field(
        None, description="no contact in this span of the customer's local time"
    )
    windows: dict[Name, LocalSpan] = Field(
        default_factory=dict,
        description="send windows to choose from; without any the contact is sent at once",
    )


class Outcome(Document):
    """An event that may follow a decision, and what it is worth."""

    value: Money = Field(description="currency; negative for harm such as a complaint")
    window: Duration = Field(description="how long after the decision it still counts")
    count: Literal["once", "each"] = Field(
        "once", description="whether a second such event after one decision counts again"
    )


class Variant(Document):
    """One wording of an offer."""

    text: str = Field("", max_length=10_000, description="what the customer reads")


class Offer(Document):
    """Something a customer may be offered, in one or more wordings and channels."""

    kind: OfferKind = Field(description="what it is for; caps and precedence may speak of it")
    cost: Cost = Field(0.0, description="currency per contact, beside the channel's cost")
    eligible: Expression | None = Field(None, description="CEL; exactly true makes it eligible")
    variants: dict[Name, Variant] = Field(min_length=1)
    channels: tuple[Name, ...] = Field(min_length=1)


class FrequencyCapSpec(Document):
    """At most `max` contacts in any rolling span of `per`, counted over `scope`."""

    rule: Literal["frequency_cap"]
    max: int = Field(ge=0, le=10_000, description="contacts")
    per: Duration = Field(description="rolling span, exact seconds")
    scope: Literal["all", "agent", "kind", "offer", "channel", "action"] = "all"


class CooldownSpec(Document):
    """After a contact, no other of the same scope for a while."""

    rule: Literal["cooldown"]
    pause: Duration = Field(description="least time between two contacts of one scope")
    scope: Literal["all", "agent", "kind", "offer", "channel", "action"] = "offer"


class EligibilitySpec(Document):
    """Bars the named kinds of offer unless a CEL expression is exactly true."""

    rule: Literal["eligibility"]
    when: Expression = Field(description="CEL over customer fields; must be boolean")
    kinds: tuple[OfferKind, ...] = Field((), description="kinds it speaks of; none means all")


GuardrailSpec = Annotated[
    FrequencyCapSpec | CooldownSpec | EligibilitySpec, Field(discriminator="rule")
]


class Holdout(Document):
    """Who is measured against: shares of customers, assigned by hash and sticky."""

    control: Share = Field(0.1, description="share that always gets nothing")
    random: Share = Field(0.1, description="share that gets a uniform choice of the allowed")
    salt: str = Field("1", min_length=1, max_length=64, description="changes who is drawn")

    @model_validator(mode="after")
    def _leaves_treatment(self) -> Self:
        if self.control + self.random >= 1.0:
            raise ValueError(
                f"expected control + random below 1, got {self.control:g} + {self.random:g}"
            )
        return self


class PolicySpec(Document):
    """Which learner chooses, and how much it explores."""

    learner: Name = Field("hybrid_thompson", description="a name of the policy registry")
    floor: float = Field(
        0.02, ge=0.0, le=1.0, description="share of each decision spread over all allowed actions"
    )
    settings: dict[Name, float] = Field(
        default_factory=dict, description="the learner's own settings"
    )


class Agent(Document):
    """One goal-seeking campaign: whom it speaks to, what counts, what may be offered."""

    agent: Name
    description: str = Field("", max_length=2_000)
    audience: Expression | None = Field(None, description="CEL; others get nothing")
    outcomes: dict[Name, Outcome] = Field(min_length=1)
    offers: dict[Name, Offer] = Field(min_length=1)
    guardrails: dict[Name, GuardrailSpec] = Field(default_factory=dict)
    policy: PolicySpec = PolicySpec()
    holdout: Holdout = Holdout()
    always_act: bool = Field(False, description="bar 'none' while anything else is allowed")


class Workspace(Document):
    """What all agents share: currency, zone, customers, channels, organisation-wide rules."""

    workspace: Name
    currency: Annotated[str, StringConstraints(pattern=CURRENCY_PATTERN)]
    zone: Zone = Field(description="where calendar periods of the organisation are counted")
    customer: dict[Name, CustomerField] = Field(min_length=1)
    channels: dict[Name, Channel] = Field(min_length=1)
    guardrails: dict[Name, GuardrailSpec] = Field(
        default_factory=dict, description="bind every agent"
    )
