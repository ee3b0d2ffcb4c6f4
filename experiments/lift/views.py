"""Views: one figure of every customer, as known at one instant, and its mean in any group."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from experiments.intervals import MeanSample, mean_sample

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Point(NamedTuple):
    """What is known of one group at one instant.

    Args:
        sample: mean and its variance.
        clock: independent observations behind it, which drive a confidence sequence.
        customers: how many are in it.
        left_out: customers of the group who have not been observed for long enough.
    """

    sample: MeanSample
    clock: float
    customers: int
    left_out: int


class View(Protocol):
    """One figure of every customer at one instant."""

    def point(self, group: Mask, /) -> Point | None:
        """Return the mean over some customers, (C,) of them; None if it is not defined yet."""


@dataclass(frozen=True)
class Totals:
    """A mean, or a ratio of means, over customers.

    A ratio R = sum(over) / sum(under) has the linear approximation R + (over - R under) /
    mean(under): its terms have mean R, and their spread is that of the delta method.

    Args:
        present: (C,) customers who are counted; others have not been observed for long enough, or
            have not come yet.
        come: (C,) customers who have come.
        over: (C,) numerator.
        outcome: (C,) amounts by which effective conversions are counted.
        seen: (C,) observations of each customer.
        under: (C,) denominator; None for a plain mean.
        offset: (C,) what is explained by what was known beforehand, see `experiments.lift.cuped`;
            its mean over all is 0.
    """

    present: Mask
    come: Mask
    over: Floats
    outcome: Floats
    seen: Floats
    under: Floats | None = None
    offset: Floats | None = None

    def terms(self, group: Mask) -> Floats:
        """Return the terms of the customers of a group who are present, before any offset."""
        rows = group & self.present
        over = self.over[rows]
        if self.under is None:
            return over
        under = self.under[rows]
        total = float(under.sum())
        if total <= 0.0:
            return np.full(len(over), np.nan)
        ratio = float(over.sum()) / total
        return np.asarray(ratio + (over - ratio * under) * (len(over) / total))

    @cached_property
    def _everyone(self) -> float:
        """The variance of the terms over all groups, for those that cannot know their own."""
        terms = self.terms(np.ones_like(self.present))
        return float(np.var(terms, ddof=1)) if len(terms) > 1 else 0.0

    def point(self, group: Mask) -> Point | None:
        """Return the mean over a group; None with fewer than two customers, or over nothing."""
        rows = group & self.present
        terms = self.terms(group)
        if len(terms) < 2 or np.isnan(terms[0]):
            return None
        if self.offset is not None:
            terms = terms - self.offset[rows]
        sample = mean_sample(terms, self.outcome[rows], self._everyone)
        left_out = int(np.count_nonzero(group & self.come & ~self.present))
        return Point(sample, float(self.seen[rows].sum()), len(terms), left_out)


@dataclass(frozen=True)
class Survival:
    """The share of customers to whom an event has not happened within some days: Kaplan-Meier.

    S = product over event times of (1 - d / r), d of the r who are still observed having the event
    then. Customers observed for less than the whole span count for as long as they were. It
    assumes that how long somebody is observed says nothing about the event, which holds where
    customers differ in when they entered. The variance is Greenwood's, S^2 sum d / (r (r - d)).

    Args:
        come: (C,) customers who have come.
        spent: (C,) days observed, at most the span, or until the event.
        happened: (C,) whether the event ended them.
        span: days.

    Source: Kaplan and Meier, JASA 1958; Greenwood 1926.
    """

    come: Mask
    spent: Floats
    happened: Mask
    span: float

    def curve(self, group: Mask) -> tuple[Floats, Floats, Floats]:
        """Return the event times in days, the share left after each, and its variance; (T,) all."""
        rows = group & self.come
        spent, happened = self.spent[rows], self.happened[rows]
        times, events = np.unique(spent[happened], return_counts=True)  # (T,)
        risk = len(spent) - np.searchsorted(np.sort(spent), times, side="left")  # (T,)
        share = np.cumprod(1.0 - events / risk, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            greenwood = np.cumsum(events / (risk * (risk - events)))
        return times, share, np.asarray(np.nan_to_num(share**2 * greenwood, posinf=0.0))

    def point(self, group: Mask) -> Point | None:
        """Return the share left at the end of the span; None if nobody was observed for so long."""
        rows = group & self.come
        spent = self.spent[rows]
        reached = int(np.count_nonzero((spent >= self.span) & ~self.happened[rows]))
        events = int(np.count_nonzero(self.happened[rows]))
        if len(spent) < 2 or reached == 0:
            return None
        _, share, variance = self.curve(group)
        left, spread = (float(share[-1]), float(variance[-1])) if events else (1.0, 0.0)
        trials = left * (1.0 - left) / spread if spread > 0.0 else float(len(spent))
        conversions = float(min(events, reached))
        sample = MeanSample(left, spread, max(1.0, conversions - 1.0), conversions)
        censored = int(np.count_nonzero((spent < self.span) & ~self.happened[rows]))
        return Point(sample, trials, len(spent), censored)
