"""Counters: what the organisation has used of its budgets, over all customers and agents.

A guardrail that counts over all customers declares counters. The ledger keeps the amounts, a
decision reads what its revision asks for and charges what it uses, in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from agents.calendar import period_number
from agents.spec import Period
from agents.units import describe_duration

Measure = Literal["contacts", "deliveries", "cost", "events", "positives"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PARTS = 60  # buckets in a rolling span


class Reading(NamedTuple):
    """What a guardrail wants to know: the sum of a counter's buckets, first and last inclusive."""

    counter: str
    first: int
    last: int

    @property
    def key(self) -> str:
        """The name under which a context's `usage` holds the answer."""
        return f"{self.counter}@{self.first}"


class Charge(NamedTuple):
    """What a decision or an event adds to one bucket of a counter; may be negative."""

    counter: str
    bucket: int
    amount: float


def counter_name(what: str, measure: Measure, per: Period | timedelta | None) -> str:
    """Name a counter by what it counts, in which measure and in which span.

    A rule whose measure or span is changed so begins a new counter: what was counted in other
    buckets, or in another unit, is never read as if it were its own.

    Example:
        >>> counter_name("capacity:sms", "contacts", "day"), counter_name("b", "cost", None)
        ('capacity:sms per day', 'b cost')
    """
    unit = "" if measure == "contacts" else f" {measure}"
    if per is None:
        return f"{what}{unit}"
    span = per if isinstance(per, str) else describe_duration(per)
    return f"{what}{unit} per {span}"


@dataclass(frozen=True, slots=True)
class Counter:
    """A quantity that is counted in buckets of time.

    Args:
        name: unique in the workspace, as of `counter_name`; agents that share it count together.
        measure: contacts; deliveries, which a failure takes back; cost in currency; events;
            positives, which are the events that count towards the reward.
        actions: positions of the actions that count, in the revision that declares it.
        per: a calendar period, an exact rolling span, or None for the whole life.
        events: the words that count, for the measures `events` and `positives` (each adds 1)
            and `deliveries` (the first of a decision takes 1 back from its contact's bucket).
        zone: in which calendar periods are counted.

    A rolling span is counted in buckets of a sixtieth of it, rounded up to a microsecond, and a
    reading takes in every bucket that touches the span around an instant, both ways since contacts
    may be planned ahead. It may count a little too much and never too little, so no span ever
    holds more than its limit. All readings are equally wide, so that their first bucket names them.

    Example:
        >>> counter = Counter("capacity:sms", "contacts", (1, 2), "day", zone="UTC")
        >>> noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
        >>> counter.reading(noon).key
        'capacity:sms@739677'
    """

    name: str
    measure: Measure
    actions: tuple[int, ...]
    per: Period | timedelta | None
    events: frozenset[str] = frozenset()
    zone: str = "UTC"

    def bucket(self, instant: datetime) -> int:
        """Return the bucket that something at this instant is charged to."""
        if self.per is None:
            return 0
        if isinstance(self.per, str):
            return period_number(self.per, instant, self.zone)
        return (instant - _EPOCH) // -(-self.per // _PARTS)

    def reading(self, instant: datetime) -> Reading:
        """Return what must be known before something more may be charged at this instant."""
        first = self.first(instant)
        rolls = isinstance(self.per, timedelta)
        return Reading(self.name, first, first + 2 * _PARTS if rolls else first)

    def first(self, instant: datetime) -> int:
        """Return the first bucket of the reading for an instant."""
        per = self.per
        if isinstance(per, str):
            return period_number(per, instant, self.zone)
        return self.bucket(instant if per is None else instant - per)

    def key(self, instant: datetime) -> str:
        """Return the key of the reading for an instant."""
        return f"{self.name}@{self.first(instant)}"
