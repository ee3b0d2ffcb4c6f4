"""What a log and a world are compared by: rates of outcomes, by what was sent and how recently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.market.chance import Floats, Ints

Flags = NDArray[np.bool_]

_DAY_US = 86_400_000_000
_WEEK, _MONTH = 7 * _DAY_US, 30 * _DAY_US


@dataclass(frozen=True)
class Decisions:
    """n decisions and what came of each.

    Args:
        customer: (n,) numbers from 0.
        contacted: (n,) whether anything was sent.
        week: (n,) earlier contacts of the customer in the 7 days before, their start included.
        month: (n,) the same of the days 7 to 30 before.
        rates: (n, O) 1 where an outcome followed inside its window, or its probability; NaN for
            an outcome of which nothing is known.
    """

    customer: Ints
    contacted: Flags
    week: Ints
    month: Ints
    rates: Floats

    @classmethod
    def of(cls, customer: Ints, at: Ints, contacted: Flags, rates: Floats) -> Decisions:
        """Count the earlier contacts, as far as they are among these decisions.

        Args:
            customer: (n,) numbers from 0.
            at: (n,) microseconds since 1970.
            contacted: (n,) whether anything was sent.
            rates: (n, O).

        Example:
            >>> days = np.array([0, 7, 20]) * 86_400_000_000
            >>> same = np.zeros(3, dtype=np.int64)
            >>> found = Decisions.of(same, days, np.array([True, True, False]), np.zeros((3, 1)))
            >>> found.week.tolist(), found.month.tolist()
            ([0, 1, 0], [0, 0, 2])
        """
        order = np.lexsort((at, customer))
        who, flags = customer[order], contacted[order]
        since = at[order] - at.min(initial=np.iinfo(np.int64).max)
        keys = who * (since.max(initial=0) + _MONTH + 1) + since  # ascending
        before = np.concatenate([[0], np.cumsum(flags)])
        recent = before[np.searchsorted(keys, keys - _WEEK)]
        week = before[:-1] - recent
        month = recent - before[np.searchsorted(keys, keys - _MONTH)]
        return cls(who, flags, week, month, rates[order])

    def where(self, chosen: Flags) -> Decisions:
        """Return some of them."""
        return Decisions(
            self.customer[chosen], self.contacted[chosen], self.week[chosen],
            self.month[chosen], self.rates[chosen],
        )  # fmt: skip


_SEGMENTS: dict[str, Callable[[Decisions], Flags]] = {
    "after none": lambda d: ~d.contacted,
    "after a message": lambda d: d.contacted,
    "after a message, another in the 7 days before": lambda d: d.contacted & (d.week > 0),
    "after a message, the last one 7 to 30 days before": lambda d: (
        d.contacted & (d.week == 0) & (d.month > 0)
    ),
    "of all decisions": lambda d: np.ones(d.customer.size, dtype=np.bool_),
}
UNTOUCHED, MESSAGE, SOON, LATER, ALL = _SEGMENTS


@dataclass(frozen=True, slots=True)
class Moment:
    """A rate by which a log and a world are compared.

    Args:
        what: that is counted.
        segment: the decisions that it is counted in.
        outcomes: positions whose rates are added up; none of them counts the contacts.
    """

    what: str
    segment: str
    outcomes: tuple[int, ...]

    @property
    def name(self) -> str:
        """What it is called in a report."""
        return f"{self.what} {self.segment}"


class Measured(NamedTuple):
    """A moment as it was found.

    Args:
        rate: per decision; where nothing happened, half an event among them.
        error: standard error, by customer.
        decisions: that it was counted in.
    """

    rate: float
    error: float
    decisions: int

    @property
    def logit(self) -> float:
        """Log-odds of the rate."""
        return float(np.log(self.rate) - np.log1p(-self.rate))

    @property
    def logit_error(self) -> float:
        """Standard error of the log-odds."""
        return self.error / (self.rate * (1.0 - self.rate))


def measure(moment: Moment, decisions: Decisions) -> Measured | None:
    """Count one moment; None if there are no such decisions, or nothing is known of the outcome.

    With y_c events in n_c decisions of customer c: rate r = sum y / sum n, and its variance
    sum (y_c - r n_c)^2 / (sum n)^2, at least that of independent decisions.
    """
    rows = np.flatnonzero(_SEGMENTS[moment.segment](decisions))
    if moment.outcomes:
        events = decisions.rates[rows][:, list(moment.outcomes)].sum(axis=1)
    else:
        events = decisions.contacted[rows].astype(np.float64)
    if not rows.size or np.isnan(events).any():
        return None
    floor = 0.5 / rows.size
    rate = float(np.clip(events.mean(), floor, 1.0 - floor))
    who = decisions.customer[rows]
    spread = np.bincount(who, weights=events - rate)
    error = np.sqrt((spread @ spread) / rows.size**2)
    return Measured(rate, max(float(error), _least(events, rate)), rows.size)


def _least(events: Floats, rate: float) -> float:
    """Return the error of independent decisions, if they were counted and not computed."""
    counted = bool(np.isin(events, (0.0, 1.0, 2.0, 3.0)).all())
    return float(np.sqrt(rate * (1.0 - rate) / events.size)) if counted else 0.0
