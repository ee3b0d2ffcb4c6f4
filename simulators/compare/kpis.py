"""Figures of lives that the same customers led, each with a paired standard error.

A customer meets the same luck in every life, so the difference of two arms is taken customer by
customer: the error of its mean is sd(d) / sqrt(C), far below that of two independent groups. It is
the error over customers, given what each learner has learned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from simulators.compare.life import UNCHECKED, Floats, Life
from simulators.compare.recovery import recovery_days

PER = 1_000.0


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of one arm.

    Args:
        value: of the arm; NaN if it cannot be told.
        error: standard error of the value; NaN if none is known.
        difference: to the first arm; 0 for the first itself.
        difference_error: standard error of the difference, from pairs.
    """

    value: float
    error: float = np.nan
    difference: float = np.nan
    difference_error: float = np.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Where the difference lies with 95% confidence."""
        reach = 1.96 * self.difference_error
        return self.difference - reach, self.difference + reach


@dataclass(frozen=True, slots=True)
class Kpi:
    """What is counted.

    Args:
        key: its name in tracking.
        title: its name for people; `CURRENCY` and `DAY` stand for what the comparison says.
        digits: after the point.
        scale: what the value is multiplied by for people.
        suffix: written behind it.
    """

    key: str
    title: str
    digits: int = 0
    scale: float = 1.0
    suffix: str = ""


KPIS = (
    Kpi("incremental", "incremental CURRENCY per 1,000"),
    Kpi("headroom", "headroom captured", 1, 100.0, "%"),
    Kpi("regret", "regret CURRENCY per 1,000"),
    Kpi("unsubscribes", "unsubscribes per 1,000, day DAY", 1),
    Kpi("reachable", "reachable base, day DAY", 1, 100.0, "%"),
    Kpi("contacts", "contacts per customer", 2),
    Kpi("none", "share of none", 1, 100.0, "%"),
    Kpi("breaches", "breaches"),
    Kpi("recovery", "recovery after drift, days"),
)
"""Every figure of a comparison, in the order of the table."""

Figures = dict[str, Figure]


def figures(
    lives: Sequence[Life], untouched: Life, best: Life, *, drift: float | None
) -> list[Figures]:
    """Work out every figure of every arm; those of the first are what others are compared with.

    - incremental: value less that of doing nothing, per 1,000 customers.
    - headroom: (value - none) / (oracle - none).
    - regret: at each decision the best allowed expectation less that of the action taken, in the
      state that the arm itself brought the customer to, per 1,000 customers.
    - unsubscribes: channels closed by customers until day 90 (or the end), per 1,000 customers.
    - reachable: share of customers with any open channel then.
    - recovery: see `recovery_days`.

    Args:
        lives: of the arms, over the same customers.
        untouched: their life without any contact.
        best: their life under the oracle.
        drift: the day on which the market changes; None if it does not.

    Returns:
        By arm, figures by the keys of `KPIS`.
    """
    means: dict[str, Callable[[Life], Floats]] = {
        "incremental": lambda life: PER * gained(life, untouched),
        "regret": lambda life: PER * (life.best - life.value).sum(axis=0),
        "unsubscribes": lambda life: PER * life.withdrawn,
        "reachable": lambda life: life.reachable,
        "contacts": lambda life: life.contacts.sum(axis=0),
        "none": lambda life: 1.0 - life.contacts.mean(axis=0),
    }
    most, first = gained(best, untouched), lives[0]
    start = recovery_days(first, drift)
    found = []
    for life in lives:
        row = {key: paired(each(life), each(first)) for key, each in means.items()}
        row["headroom"] = share_of(gained(life, untouched), gained(first, untouched), most)
        breaches = np.nan if life.breaches == UNCHECKED else float(life.breaches)
        row["breaches"] = Figure(breaches, 0.0, breaches - first.breaches, 0.0)
        days = recovery_days(life, drift)
        row["recovery"] = Figure(days, difference=days - start)
        found.append(row)
    return found


def gained(life: Life, untouched: Life) -> Floats:
    """Return what each customer was worth more than without any contact; (C,) currency."""
    return np.asarray((life.value - untouched.value).sum(axis=0))


def paired(values: Floats, first: Floats) -> Figure:
    """Return the mean over customers, and its difference to the first arm's.

    Args:
        values: (C,) of an arm.
        first: (C,) of the first arm, the same customers.

    Example:
        >>> found = paired(np.array([3.0, 5.0]), np.array([1.0, 3.0]))
        >>> found.value, found.difference, found.difference_error
        (4.0, 2.0, 0.0)
    """
    apart = values - first
    return Figure(float(values.mean()), _error(values), float(apart.mean()), _error(apart))


def share_of(values: Floats, first: Floats, most: Floats) -> Figure:
    """Return the share of what could be had, mean(values) / mean(most), likewise.

    Its error is the delta method's: that of the mean of (values - share x most) / mean(most).

    Args:
        values: (C,) of an arm.
        first: (C,) of the first arm.
        most: (C,) what could be had.

    Example:
        >>> share_of(np.array([1.0, 2.0]), np.array([1.0, 1.0]), np.array([2.0, 4.0])).value
        0.5
    """
    whole = float(most.mean())
    if whole <= 0.0:
        return Figure(np.nan)

    def part(of: Floats) -> tuple[float, float]:
        share = float(of.mean()) / whole
        return share, _error((of - share * most) / whole)

    return Figure(*part(values), *part(values - first))


def _error(values: Floats) -> float:
    if len(values) < 2:
        return np.nan
    return float(values.std(ddof=1) / np.sqrt(len(values)))
