"""Rules over all customers: budgets, stock, capacity, total caps; and the usage that is logged."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from agents.checking.actions import Group
from agents.checking.laws import Bar, View
from agents.checking.times import Per, bucket, normal

SLACK = 1e-9


class Reading(NamedTuple):
    """What a decision logs of a total: the key in `usage`, and the buckets it sums."""

    key: str
    first: int
    last: int


def meter_name(what: str, measure: str, per: str | None) -> str:
    """Name a counter as it is kept: by what it counts, its measure and its span as written.

    Example:
        >>> meter_name("cap:x", "deliveries", "48h"), meter_name("stock:a/b", "contacts", None)
        ('cap:x deliveries per 2d', 'stock:a/b')
    """
    unit = "" if measure == "contacts" else f" {measure}"
    return f"{what}{unit}" + ("" if per is None else f" per {normal(per)}")


@dataclass(frozen=True, slots=True)
class Meter:
    """Something counted over all customers.

    Args:
        amounts: by action, what a contact adds.
        exact: whether the log tells all of it; events and failed deliveries it does not.
    """

    name: str
    amounts: Mapping[str, float]
    per: Per
    zone: ZoneInfo
    exact: bool = True

    def place(self, at: datetime) -> int:
        """Return the bucket that something at an instant belongs to."""
        return bucket(self.per, at, self.zone)

    def reading(self, at: datetime) -> Reading:
        """Return what must be known before a contact at an instant."""
        if isinstance(self.per, timedelta):
            first = self.place(at - self.per)
            return Reading(f"{self.name}@{first}", first, first + 120)
        place = self.place(at)
        return Reading(f"{self.name}@{place}", place, place)

    def used(self, view: View, at: datetime) -> float:
        """Return what is used at an instant: infinity if the decision did not know it."""
        key, first, last = self.reading(at)
        logged = view.usage.get(key, math.inf)
        return max(logged, view.totals.read(self.name, first, last)) if self.exact else logged

    def faults(self, view: View, *, complete: bool) -> Iterator[str]:
        """Compare what a decision knew of the total with the log."""
        slots = {view.law.actions[name].slot for name in self.amounts}
        instants = {at for slot in slots if (at := view.sends.get(slot)) is not None}
        for key, first, last in {self.reading(at) for at in instants} if self.exact else ():
            logged, true = view.usage.get(key), view.totals.read(self.name, first, last)
            if logged is None:
                continue  # what was not known bars, which is checked with the rule
            if logged < true - 1e-6 or (complete and logged > true + 1e-6):
                yield f"{key} was taken for {logged:g}; the log has {true:g}"


@dataclass(frozen=True, slots=True)
class Limit:
    """A meter must not pass `most`."""

    name: str
    meter: Meter
    groups: tuple[Group, ...]
    most: float

    def bars(self, view: View) -> Iterator[Bar]:
        """Bar what would take the meter past its limit."""
        for group in self.groups:
            at = view.sends.get(group.slot)
            if at is None:
                continue
            used = self.meter.used(view, at)
            over = tuple(
                name for name in group.ids
                if used + self.meter.amounts[name] > self.most + SLACK
            )  # fmt: skip
            if over:
                amount = "an unknown amount" if math.isinf(used) else f"{used:g}"
                yield over, f"{amount} of {self.most:g} is used ({self.meter.name})"
