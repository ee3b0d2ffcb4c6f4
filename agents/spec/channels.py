"""Channels: the ways to reach a customer, their price, their hours and their limits."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from agents.spec.base import Cost, Document, LocalSpan, Period
from agents.units import Name


class QuietHours(LocalSpan):
    """A daily span in which a channel is silent where the customer is."""

    on_hit: Literal["discard", "queue"] = Field(
        "discard",
        description="discard bars what would be sent in it; queue sends it when the span ends",
    )


class Capacity(Document):
    """How many contacts a channel can carry in a calendar period, over all agents."""

    max: int = Field(ge=0, le=10**9, description="contacts")
    per: Period = Field(description="calendar period in the workspace's zone")


class Channel(Document):
    """A way to reach a customer."""

    cost: Cost = Field(0.0, description="currency per contact")
    consent: Name | None = Field(None, description="boolean customer field that must be true")
    opt_out: Name | None = Field(None, description="boolean customer field that must be false")
    quiet_hours: QuietHours | None = Field(
        None, description="no contact in this span of the customer's local time"
    )
    windows: dict[Name, LocalSpan] = Field(
        default_factory=dict,
        description="send windows to choose from; without any the contact is sent at once",
    )
    capacity: Capacity | None = Field(None, description="contacts it can carry in a period")
    placements: tuple[Name, ...] = Field(
        (), description="slots of an on-site channel; used only when a request asks for one"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.placements and self.windows:
            raise ValueError("expected 'windows' or 'placements', got both; a slot is shown now")
        if len(set(self.placements)) < len(self.placements):
            raise ValueError("expected each of 'placements' once, got one of them twice")
        return self
