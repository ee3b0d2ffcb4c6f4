"""What a world's customers do, what messages change, and what happens to the whole market."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from simulators.market.spec_base import Part, Positive, Share, Span, Weights


def _day_of_year(text: str) -> str:
    """Require a month and a day that every year has."""
    try:
        date.fromisoformat(f"2001-{text}")
    except ValueError:
        raise ValueError(f"expected a month and a day such as '07-20', got {text!r}") from None
    return text


class DelaySpec(Part):
    """One component of a mixture of lognormal delays."""

    weight: Positive = 1.0
    median: Span
    sigma: Positive = 1.0


class Change(Part):
    """What an outcome does to a customer's field from the instant it happens, for good or a while.

    Args:
        value: the new value; for a category, `next` moves up its declared values by one.
    """

    field: str
    value: bool | int | float | str
    lasts: Span | None = None


class OutcomeSpec(Part):
    """One thing that customers do, by the word it is reported by.

    Args:
        base: weights of its log-odds without contact, `one` among them.
        kinds: log-odds added for a kind of customer.
        once: it happens once and never again.
        contact_only: it never happens without a message, as an unsubscribe.
        harm: bad for the company: fatigue and misfit raise it, and good effects do not touch it.
        fatigue: log-odds that full fatigue adds, after a message or not.
        misfit: log-odds added by a message in a channel that does not fit at all.
        disliked: log-odds that any message adds for a kind with a gain below 0.
        withdraws: takes back the consent of the channel that was used.
        leaves: the customer has gone: nothing happens any more, whatever is sent.
        delay: how long after; a mixture, truncated to the outcome's window.
        changes: of the customer's fields.
    """

    base: Weights
    kinds: Weights = Field({})
    once: bool = False
    contact_only: bool = False
    harm: bool = False
    fatigue: float = 0.0
    misfit: float = 0.0
    disliked: float = 0.0
    withdraws: bool = False
    leaves: bool = False
    delay: tuple[DelaySpec, ...] = Field(min_length=1)
    changes: tuple[Change, ...] = ()


class Effect(Part):
    """What messages do to outcomes; all effects that fit an action are added up.

    Args:
        kind, offer, variant, channel, window: which actions; all of them where not given.
        on: by outcome, weights of log-odds on names.
    """

    kind: str | None = None
    offer: str | None = None
    variant: str | None = None
    channel: str | None = None
    window: str | None = None
    on: dict[str, Weights]


class FatigueSpec(Part):
    """Fatigue of all messages together; see `simulators.market.pressure.Pressure`.

    Args:
        step: level right after a rested customer's first message.
        half_life: until half of the pressure has gone.
        response: share of a message's effect that full fatigue takes away.
    """

    step: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.35
    half_life: Span = timedelta(days=6)
    response: Share = 0.8


class Wear(Part):
    """Wear-out of each offer by itself; see `simulators.market.pressure.Pressure`.

    Args:
        step: share of what is left of the effect that each exposure takes away.
        half_life: until half of the pressure has gone.
    """

    step: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2
    half_life: Span = timedelta(days=30)


class Inventory(Part):
    """How many of an offer's conversions there are in each period.

    When there are none left, its messages do nothing good. What is taken is counted at night, so
    a day's last customers may still get more than there are.

    Args:
        offer: the one that is sold out; in a bundle, it is not counted.
        outcome: which outcome, after a message of the offer, takes one away.
        stock: how many there are.
        every: whole days after which it is filled up again; never, if not given.
        disappointed: log-odds that a sold-out offer's message adds to what is harm.
    """

    offer: str
    outcome: str
    stock: Annotated[int, Field(gt=0)]
    every: Span | None = None
    disappointed: float = 0.5


class Season(Part):
    """Log-odds of some outcomes over the year: amount x exp(-(days to the peak / width)^2 / 2)."""

    peak: Annotated[str, AfterValidator(_day_of_year)]
    width: Span = timedelta(days=20)
    amount: float
    outcomes: tuple[str, ...] = Field(min_length=1)


class Shock(Part):
    """Something that happens to the whole market for a while: an outage, a price rise.

    Args:
        day: after the beginning of the world, from 0.
        on: log-odds by outcome while it lasts.
        response: multiplies the effect of messages while it lasts.
    """

    day: Annotated[int, Field(ge=0)]
    lasts: Span
    on: dict[str, float] = Field({})
    response: Annotated[float, Field(ge=0.0)] = 1.0


class Drift(Part):
    """Effects that change: from `day` on, what was true of one offer is true of another.

    Args:
        swap: pairs of offers that change their effects.
        decay: days in which all effects lose half of their strength from `day` on; never, if not
            given.
    """

    day: Annotated[int, Field(ge=0)]
    swap: tuple[tuple[str, str], ...] = ()
    decay: Positive | None = None


class Life(Part):
    """An offer that comes later or goes earlier: outside of its life its messages do nothing."""

    offer: str
    launched: Annotated[int, Field(ge=0)] = 0
    retired: Annotated[int, Field(gt=0)] | None = None


class Noise(Part):
    """What reaches the company otherwise than it happened: shares of all reports.

    Args:
        duplicates: sent twice, with the same id.
        late: held up by `delay` more, so that they come out of order; the instant is true.
    """

    duplicates: Share = 0.0
    late: Share = 0.0
    delay: Span = timedelta(hours=12)
