"""The workspace: what all agents share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from agents.spec.base import (
    CURRENCY_PATTERN,
    Document,
    Expression,
    Locale,
    Share,
    Weight,
)
from agents.spec.channels import Channel
from agents.spec.customers import CustomerField
from agents.spec.outcomes import CustomerEvent
from agents.spec.rules import GuardrailSpec
from agents.units import Duration, Name, Zone


class UniversalControl(Document):
    """A share of all customers whom no agent ever contacts, to measure everything against."""

    share: Share = Field(description="of all customers, assigned by hash and sticky")
    salt: str = Field("universal", min_length=1, max_length=64, description="changes who is drawn")


class ContextWeight(Document):
    """Multiplies the bids of some agents for customers to whom something applies."""

    when: Expression = Field(description="CEL over customer fields; counts if exactly true")
    agents: tuple[Name, ...] = Field(min_length=1, description="whose bids it multiplies")
    weight: Weight = Field(description="what they are multiplied by")


class Arbitration(Document):
    """Which agent speaks when several want the same customer: the greatest bid.

    A bid is the product of what is switched on: expected value x context weight x lever.
    """

    value: bool = Field(True, description="bid the expected value of the agent's own decision")
    context: dict[Name, ContextWeight] = Field(
        default_factory=dict, description="weights that depend on the customer"
    )
    levers: dict[Name, Weight] = Field(
        default_factory=dict, description="by agent, a weight set by people; 1 if not said"
    )
    explore: Share = Field(
        0.02, description="share of arbitrations spread evenly over the agents that bid"
    )


class Locales(Document):
    """In which language content is written."""

    field: Name = Field(description="category or text customer field with a language tag")
    default: Locale = Field(description="the language of a variant's own words")


class Workspace(Document):
    """What all agents share: currency, zone, customers, channels, organisation-wide rules."""

    workspace: Name = Field(description="its name")
    currency: Annotated[str, StringConstraints(pattern=CURRENCY_PATTERN)] = Field(
        description="every value and cost is in it, as in EUR"
    )
    zone: Zone = Field(description="where calendar periods of the organisation are counted")
    customer: dict[Name, CustomerField] = Field(min_length=1, description="the customer schema")
    channels: dict[Name, Channel] = Field(min_length=1, description="the ways to reach a customer")
    events: dict[Name, CustomerEvent] = Field(
        default_factory=dict, description="events without a value that guardrails may speak of"
    )
    opt_out: Name | None = Field(
        None, description="boolean customer field that must be false before any contact"
    )
    guardrails: dict[Name, GuardrailSpec] = Field(
        default_factory=dict, description="the contact policy: binds every agent"
    )
    universal_control: UniversalControl | None = Field(
        None, description="a share of all customers whom no agent ever contacts"
    )
    arbitration: Arbitration = Field(
        Arbitration(), description="which agent speaks when several want the same customer"
    )
    locales: Locales | None = Field(None, description="in which language content is written")
    retention: Duration | None = Field(
        None, description="how long decisions, contacts and outcomes are kept; for good if not said"
    )
