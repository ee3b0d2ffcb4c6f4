"""Outcomes and events: what may follow a decision, and what it is worth."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from agents.spec.base import Document, Money, Weight
from agents.units import Duration, Name

Signal = Literal["response", "rejection", "failure"]


class Amount(Document):
    """A value that comes with the event, as one of its properties."""

    property: Name = Field(description="the property that holds it")
    min: Money = Field(description="currency; an amount below is refused")
    max: Money = Field(description="currency; an amount above is refused")
    typical: Money = Field(description="currency; what learners take one such event to be worth")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.min <= self.typical <= self.max:
            raise ValueError(
                "expected min <= typical <= max,"
                f" got {self.min:g}, {self.typical:g} and {self.max:g}"
            )
        return self


class Outcome(Document):
    """An event that may follow a decision, and what it is worth."""

    event: Name | None = Field(
        None, description="the word it is reported by; the outcome's own name if not said"
    )
    value: Money | Amount = Field(
        description="currency, or a property of the event; negative for harm such as a complaint"
    )
    weight: Weight = Field(1.0, description="how much it counts beside the agent's other outcomes")
    window: Duration = Field(description="how long after the decision it still counts")
    count: Literal["once", "each"] = Field(
        "once", description="whether a second such event after one decision counts again"
    )
    aggregate: Literal["sum", "first", "max"] = Field(
        "sum", description="how the values of several counted events make one"
    )
    default: Money = Field(
        0.0,
        description="currency; of supplied actions: what it is worth if it has not happened by the"
        " end of its window",
    )
    attribution: Literal["decision", "last_touch"] = Field(
        "decision",
        description="whether a report names its decision, or may name the customer and is"
        " credited to the latest contact within the window",
    )
    metric: Literal["primary", "guardrail", "secondary"] = Field(
        "secondary", description="primary is the goal; guardrail must not get worse"
    )
    counts_as: Signal | None = Field(
        None, description="what caps and cooldowns take it for; by its value's sign if not said"
    )

    @property
    def worth(self) -> float:
        """What learners take one such event to be worth, weight included, in currency."""
        value = self.value.typical if isinstance(self.value, Amount) else self.value
        return self.weight * value

    @property
    def signal(self) -> Signal:
        """What caps and cooldowns take it for."""
        return self.counts_as or ("response" if self.worth >= 0.0 else "rejection")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.aggregate != "sum" and self.count == "once":
            raise ValueError(f"aggregate: {self.aggregate} speaks of several; it needs count: each")
        if isinstance(self.value, Amount):
            least, most = min(0.0, self.value.min), max(0.0, self.value.max)
            if not least <= self.default <= most:
                raise ValueError(
                    f"default: expected 0 or a value from {least:g} to {most:g}, as of the events,"
                    f" got {self.default:g}"
                )
        return self


class CustomerEvent(Document):
    """An event without a value that any agent may hear of, such as an opened email."""

    counts_as: Signal | None = Field(
        None, description="response, rejection, or failure: the contact did not arrive"
    )
