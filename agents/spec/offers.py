"""Offers: what a customer may be offered, to whom, until when, and in which words."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from agents.spec.base import Cost, Document, Expression, Locale, Money, OfferKind, Period, Stage
from agents.units import Day, Name


class Wording(Document):
    """Content as Jinja2 templates over `customer`; rendered in a sandbox."""

    subject: str = Field("", max_length=1_000, description="headline or subject line")
    text: str = Field("", max_length=10_000, description="what the customer reads")


class Variant(Wording):
    """One wording of an offer, with translations."""

    locales: dict[Locale, Wording] = Field(
        default_factory=dict,
        description="by language tag; 'de-AT' falls back to 'de', then to the variant's own words",
    )


class Stock(Document):
    """How many of an offer there are."""

    max: int = Field(ge=0, le=10**9, description="contacts that may offer it")
    per: Period | None = Field(
        None, description="calendar period after which it is refilled; never if not said"
    )


class Offer(Document):
    """Something a customer may be offered, in one or more wordings and channels."""

    kind: OfferKind = Field(description="what it is for; caps and precedence may speak of it")
    stage: Stage | None = Field(None, description="the part of a customer's life it belongs to")
    value: Money = Field(
        0.0, description="currency; added to what it is expected to earn when agents are arbitrated"
    )
    cost: Cost = Field(0.0, description="currency per contact, beside the channel's cost")
    start: Day | None = Field(None, description="first day, in the workspace's zone")
    end: Day | None = Field(None, description="last day, in the workspace's zone")
    stock: Stock | None = Field(None, description="how many there are; without it, enough")
    eligible: Expression | None = Field(None, description="CEL: may they have it?")
    applicable: Expression | None = Field(None, description="CEL: does it matter to them now?")
    suitable: Expression | None = Field(None, description="CEL: is it good for them?")
    variants: dict[Name, Variant] = Field(min_length=1, description="its wordings")
    channels: tuple[Name, ...] = Field(min_length=1, description="the ways in which it may be sent")
    placements: tuple[Name, ...] = Field(
        (), description="slots of on-site channels that it fits; all of them if not said"
    )
    tags: tuple[Name, ...] = Field((), description="words that guardrails may select by")
    includes: tuple[Name, ...] = Field(
        (), description="offers sent along with it, as a bundle; barred if one of them is"
    )
    fallback: bool = Field(False, description="offered only when nothing else is allowed")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.start is not None and self.end is not None and self.start > self.end:
            raise ValueError(f"expected start <= end, got {self.start} > {self.end}")
        for word in ("tags", "placements", "includes"):
            listed = getattr(self, word)
            if len(set(listed)) < len(listed):
                raise ValueError(f"expected each of {word!r} once, got one of them twice")
        return self
