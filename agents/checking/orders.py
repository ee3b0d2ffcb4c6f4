"""Rules that depend on what others allow: precedence, pace, fallback."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from agents.checking.conditions import truth
from agents.checking.laws import Bar, View
from agents.checking.times import gone
from agents.checking.totals import Meter


@dataclass(frozen=True, slots=True)
class Precedence:
    """Later kinds wait while an earlier one is allowed.

    Args:
        ranks: by action, the place of its kind in the order; the others are not compared.
        when: compiled; the rule holds unless it is exactly false.
    """

    name: str
    ranks: Mapping[str, int]
    when: Any | None
    after: frozenset[str]
    within: timedelta

    def bars(self, view: View, allowed: frozenset[str]) -> Iterator[Bar]:
        """Bar all later kinds than the first that is allowed."""
        if self.when is not None and truth(self.when, view.bound) is False:
            return
        if self.after and not any(
            e.word in self.after and view.at - self.within < e.at <= view.at for e in view.events
        ):
            return
        first = min((self.ranks[name] for name in allowed if name in self.ranks), default=None)
        if first is not None:
            later = tuple(name for name, rank in self.ranks.items() if rank > first)
            if later:
                yield later, "an earlier kind is allowed"


@dataclass(frozen=True, slots=True)
class Pace:
    """While a period is behind its least number of contacts, others wait."""

    name: str
    meter: Meter
    least: int

    def bars(self, view: View, allowed: frozenset[str]) -> Iterator[Bar]:
        """Bar everything else while one of its actions is allowed."""
        if allowed.isdisjoint(self.meter.amounts) or not isinstance(self.meter.per, str):
            return
        due = self.least * gone(self.meter.per, view.at, self.meter.zone)
        used = self.meter.used(view, view.at)
        if used < due or math.isinf(used):  # what was not known bars
            others = tuple(n for n in view.law.actions if n not in self.meter.amounts)
            yield tuple(n for n in others if n != "none"), f"{used:g} of {due:g} due by now"


@dataclass(frozen=True, slots=True)
class Fallback:
    """Fallback offers wait until nothing else is allowed."""

    name: str
    ids: frozenset[str]

    def bars(self, _: View, allowed: frozenset[str]) -> Iterator[Bar]:
        """Bar fallback offers while another offer is allowed."""
        if allowed - self.ids:
            yield tuple(sorted(self.ids)), "another offer is allowed"
