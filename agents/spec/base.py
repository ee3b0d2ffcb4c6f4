"""What every document is made of: frozen parts, bounded numbers, words with one meaning."""

from __future__ import annotations

import json
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from agents.units import LocalTime, Name

CURRENCY_PATTERN = r"^[A-Z]{3}$"
LOCALE_PATTERN = r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$"

Expression = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Money = Annotated[float, Field(ge=-1e9, le=1e9)]
Cost = Annotated[float, Field(ge=0.0, le=1e9)]
Weight = Annotated[float, Field(ge=0.0, le=1_000.0)]
Locale = Annotated[str, StringConstraints(pattern=LOCALE_PATTERN)]
OfferKind = Literal["service", "education", "retention", "promotion"]
Stage = Literal["acquisition", "onboarding", "growth", "retention", "winback"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Period = Literal["hour", "day", "week", "month", "quarter", "year"]
Scope = Literal["all", "agent", "kind", "offer", "channel", "action"]


def _setting(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    """Say in one sentence what a setting may be, where a union would complain once a member."""
    try:
        return handler(tuple(value) if isinstance(value, list) else value)
    except ValidationError:
        got = "nothing" if value is None else json.dumps(value, ensure_ascii=False)[:60]
        hint = "; write 1 for true and 0 for false" if isinstance(value, bool) else ""
        raise ValueError(
            "expected a number, a text, a list of texts, or names with a number or a text each,"
            f" got {got}{hint}"
        ) from None


_Text = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
_Texts = Annotated[tuple[_Text, ...], Field(max_length=1_000)]
SettingValue = Annotated[
    float | _Text | _Texts | dict[Name, float | _Text], WrapValidator(_setting)
]

WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Document(BaseModel):
    """A part of a YAML document: frozen, strict, without unknown fields, NaN or infinity."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, populate_by_name=True
    )


class LocalSpan(Document):
    """A daily span of local time, from inclusive to exclusive; it may cross midnight.

    A span that crosses midnight belongs to the weekday on which it begins.
    """

    from_: LocalTime = Field(alias="from", description="local time at which it begins")
    to: LocalTime = Field(description="local time at which it ends")
    days: tuple[Weekday, ...] = Field(
        WEEKDAYS, min_length=1, description="weekdays on which it begins; all if not said"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.from_ == self.to:
            raise ValueError(f"expected 'from' and 'to' to differ, got {self.to:%H:%M} twice")
        if len(set(self.days)) < len(self.days):
            raise ValueError("expected each of 'days' once, got one of them twice")
        return self


class Selector(Document):
    """Actions by what they share: an action is meant if it fits every list that is given."""

    kinds: tuple[OfferKind, ...] = Field((), description="kinds of offer")
    stages: tuple[Stage, ...] = Field((), description="lifecycle stages of offers")
    offers: tuple[Name, ...] = Field((), description="offers of the agent")
    tags: tuple[Name, ...] = Field((), description="tags of offers; one in common is enough")
    channels: tuple[Name, ...] = Field((), description="channels")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not any((self.kinds, self.stages, self.offers, self.tags, self.channels)):
            raise ValueError("expected at least one of kinds, stages, offers, tags, channels")
        return self
