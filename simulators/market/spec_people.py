"""Who a world's customers are: traits, kinds, what the company sees, what outcomes depend on."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from simulators.market.spec_base import Part, Positive, Share, Span, Weights


class Trait(Part):
    """A latent number of a customer: mean + weights x earlier traits + sd x noise.

    Args:
        squash: turns it into a share, by the logistic function.
    """

    mean: float = 0.0
    sd: Annotated[float, Field(ge=0.0)] = 1.0
    of: Weights = Field({})
    squash: bool = False


class Kind(Part):
    """A kind of customer, by how messages work on it.

    Args:
        lean: log-odds of being of this kind, before the others are heard.
        of: weights on traits of the same.
        gain: multiplies what messages do; 0 for a sure thing or a lost cause, below 0 for a
            sleeping dog.
    """

    lean: float = 0.0
    of: Weights = Field({})
    gain: float = 1.0


class Number(Part):
    """A field that is a number: link(constant + weights x traits + noise), rounded, inside bounds.

    Args:
        link: `plain`, `exp`, or `share` (logistic).
        scale: multiplies it after the link.
        every: how often it is drawn anew; never, if not given.
        daily: what it grows by each day.
        zero: share of the draws in which it is 0.
        digits: of rounding; whole numbers for an integer field.
    """

    link: Literal["plain", "exp", "share"] = "plain"
    constant: float = 0.0
    of: Weights = Field({})
    noise: Annotated[float, Field(ge=0.0)] = 0.0
    scale: float = 1.0
    every: Span | None = None
    daily: float = 0.0
    zero: Share = 0.0
    digits: Annotated[int, Field(ge=0, le=9)] = 2


class Chance(Part):
    """A field that is true with a probability: logistic(constant + weights x traits)."""

    constant: float = 0.0
    of: Weights = Field({})
    every: Span | None = None


class Choice(Part):
    """A category: each value's log-odds, constant and weights on traits (a multinomial logit)."""

    choice: dict[str, Weights]
    every: Span | None = None


class Held(Part):
    """A set: each value is held with a probability of its own, logistic(weights x traits)."""

    held: dict[str, Weights]


class Zone(Part):
    """A time zone, by share."""

    zones: dict[str, Positive]


class Instant(Part):
    """A field that is an instant, exp(constant + weights x traits + noise) days away.

    It is counted from the customer's meeting in the period in which it is drawn, and then stays.

    Args:
        ahead: whether it is to come; else it is past.
        every: how often it is drawn anew; never, if not given.
    """

    constant: float = 0.0
    of: Weights = Field({})
    noise: Annotated[float, Field(ge=0.0)] = 0.0
    ahead: bool = False
    every: Span | None = None


class VisitSpec(Part):
    """Rounds in which the customer comes by, and a slot of the company's own is to be filled.

    Args:
        of: log-odds of a round being a visit, on traits.
        slots: log-odds of each slot against the others, on traits.
    """

    of: Weights
    slots: Annotated[dict[str, Weights], Field(min_length=1)]


class FieldSpec(Part):
    """How one customer field is made; exactly one of the makers, and what share is unknown."""

    number: Number | None = None
    chance: Chance | None = None
    choice: Choice | None = None
    held: Held | None = None
    zone: Zone | None = None
    instant: Instant | None = None
    missing: Share = 0.0

    @model_validator(mode="after")
    def _one(self) -> Self:
        makers = (self.number, self.chance, self.choice, self.held, self.zone, self.instant)
        if sum(maker is not None for maker in makers) != 1:
            raise ValueError(
                "expected exactly one of number, chance, choice, held, zone and instant"
            )
        return self


class SignalSpec(Part):
    """A number that outcomes may depend on, made of a field or of other names.

    Args:
        field: of the customer: a number is scaled from `low` (0) to `high` (1) and kept between 0
            and `top`; a boolean is 0 or 1. Unknown values still have their true signal.
        equals: 1 if the field has this value (or holds it, for a set), else 0.
        product: of other names.
        absolute: of another name.
        wave: sine of this many half-turns per unit of another name; not monotone.
    """

    field: str | None = None
    low: float = 0.0
    high: float = 1.0
    top: Positive = 1.5
    equals: str | None = None
    product: tuple[str, ...] = ()
    absolute: str | None = None
    wave: tuple[str, float] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = (self.field, self.product or None, self.absolute, self.wave)
        if sum(each is not None for each in given) != 1:
            raise ValueError("expected exactly one of field, product, absolute and wave")
        return self
