"""From a context to numbers: standardised as customers come by, nothing refused for missing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Self

import numpy as np
from numpy.typing import NDArray

from agents.context import Context, FeatureValue
from agents.revision import Revision
from policies.features.columns import Columns
from policies.features.moments import Moments
from policies.models.naming import check_array

DAY, WEEK, MONTH = timedelta(days=1), timedelta(days=7), timedelta(days=30)
MOST_DAYS = 3_650.0  # ten years, either way

_MISSING = (0.0, 1.0)  # nothing said of the number itself

Numbers = list[float | None]


def log_days(days: float) -> float:
    """Return sign(d) log(1 + |d|) of a number of days d, bounded at ten years.

    Yesterday and today differ by as much as ten days and three weeks.

    Example:
        >>> log_days(0.0), log_days(-1e9) == -log_days(3650.0)
        (0.0, True)
    """
    days = min(max(days, -MOST_DAYS), MOST_DAYS)
    return math.copysign(math.log1p(abs(days)), days)


class Encoder:
    """Turns a context into x, float64 of shape (D,), bounded by 5 in absolute value.

    Columns of each declared customer field that is a feature (a zone or free text never is):

    - number `f`: `f` standardised with what has been observed, and `f?` = 1 if missing;
    - instant `f`: `f days`, the logarithm of the days since then, standardised like a number, and
      `f?` = 1 if missing;
    - category `f`: `f=value` = 1 for its value, and `f?` = 1 if missing or not declared;
    - boolean `f`: `f=true` = 1 or -1, and `f?` = 1 if missing;
    - set `f`: `f=value` = 1 for each value that is in it, and `f?` = 1 if missing.

    Columns of the customer's history, of which a context holds as much as the revision looks back:

    - `days since contact`: the logarithm of the days since the last contact made, standardised,
      and `days since contact?` = 1 if there was none;
    - `contacts 7d` and `contacts 30d`: contacts made in the days before, or planned, standardised;
    - `contacts unanswered`: contacts made since the last response, standardised; only where the
      agent or its workspace has an event that is one, for else it would repeat the counts.

    Columns of the moment: `hour sin`, `hour cos`, `weekday sin` and `weekday cos`, by the
    customer's clock, or the workspace's where the zone is unknown.

    What is missing is 0 in all its other columns. `observe` and `take` are the only mutators.

    Attributes:
        columns: what is read, and from where.
        names: the D columns.
        faith: (D,) prior sd of each column's weight, 1 for what is declared.
        norm: expected squared length of x times faith.
    """

    def __init__(self, revision: Revision) -> None:
        self.columns = columns = Columns(revision)
        self.names, self.norm = columns.names, columns.norm
        self.faith = np.array(columns.faith)  # (D,)
        self._moments = tuple(Moments() for _ in columns.numbers)
        self._tables = tuple((table.field, table.rows, table.missing) for table in columns.tables)
        self._answers = columns.answers

    @classmethod
    def restored(
        cls, revision: Revision, names: Sequence[str], moments: NDArray[np.float64]
    ) -> Self:
        """Rebuild from `numbers` and `moments()`, by name: new numbers start unobserved.

        Args:
            revision: declares the columns; numbers that it no longer declares are dropped.
            names: N numbers.
            moments: (N, 3) count, mean, sum of squared deviations.

        Raises:
            SnapshotError: the moments are not of that shape, or not finite.
        """
        encoder = cls(revision)
        check_array(moments, (len(names), 3))
        known = dict(zip(names, moments.tolist(), strict=True))
        encoder._moments = tuple(Moments(*known.get(name, ())) for name in encoder.numbers)
        return encoder

    @property
    def numbers(self) -> tuple[str, ...]:
        """The N columns that are standardised."""
        return self.columns.numbers

    @property
    def gapped(self) -> int:
        """How many of them, the first ones, have an indicator that they are missing."""
        return len(self.numbers) - len(self.columns.counted)

    def moments(self) -> NDArray[np.float64]:
        """Return the state, (N, 3): count, mean, sum of squared deviations of each number."""
        return np.array([(m.count, m.mean, m.squares) for m in self._moments])  # (N, 3)

    def take(self, moments: NDArray[np.float64]) -> None:
        """Take up what `moments` returned and someone went on observing with; (N, 3)."""
        self._moments = tuple(Moments(*row) for row in moments.tolist())

    def scales(self) -> NDArray[np.float64]:
        """Return mean and 1 / sd of each number, (N, 2)."""
        return np.array([(m.mean, m.scale) for m in self._moments])  # (N, 2)

    def encode(self, context: Context) -> NDArray[np.float64]:
        """Return x, (D,); it changes nothing."""
        return np.array(self.numbers_of(context))  # (D,)

    def numbers_of(self, context: Context) -> list[float]:
        """Return x as plain numbers; it changes nothing."""
        # Plain floats: for so few numbers they are several times faster than arrays.
        x: list[float] = []
        features, columns = context.features, self.columns
        since, counts = self._read(context)
        for value, moments in zip(since, self._moments, strict=False):
            x += _MISSING if value is None else (moments.standardise(value), 0.0)
        for value, moments in zip(counts, self._moments[len(since) :], strict=True):
            x.append(moments.standardise(value))
        for name, rows, missing in self._tables:
            x += rows.get(features.get(name), missing)
        for members in columns.sets:
            x += members.row(features.get(members.field))
        x += columns.calendar(context.at, columns.zone(features))
        return x

    def unscaled_of(self, context: Context) -> list[float]:
        """Return x before its numbers are standardised, 0 where one is missing."""
        x, (since, counts) = self.numbers_of(context), self._read(context)
        for place, value in enumerate(since):
            if value is not None:
                x[2 * place] = float(value)
        x[2 * len(since) : 2 * len(since) + len(counts)] = counts
        return x

    def observe(self, context: Context) -> None:
        """Learn the scale of each number from one more context."""
        since, counts = self._read(context)
        for value, moments in zip((*since, *counts), self._moments, strict=True):
            if value is not None:
                moments.add(value)

    def _read(self, context: Context) -> tuple[Numbers, list[float]]:
        """Read the numbers before they are standardised: those with gaps, then the counts."""
        features, columns, at = context.features, self.columns, context.at
        read: Numbers = []
        for name in columns.amounts:
            value = features.get(name)  # text, from before the field became a number, is missing
            read.append(value if isinstance(value, (int, float)) else None)
        for name in columns.instants:
            read.append(_since(features.get(name), at))
        if not context.contacts:
            read.append(None)
            return read, [0.0] * len(columns.counted)
        last, counts = self._history(context)
        read.append(_since(last, at))
        return read, counts

    def _history(self, context: Context) -> tuple[datetime | None, list[float]]:
        """Return when the last contact was made, and the counts; planned ones count as recent."""
        at, answered = context.at, self._answered(context)
        week_ago, month_ago = at - WEEK, at - MONTH
        last: datetime | None = None
        week = month = unanswered = 0
        for contact in context.contacts:
            sent = contact.at
            if sent > month_ago:
                month += 1
                week += sent > week_ago
            if sent <= at:
                if last is None or sent > last:
                    last = sent
                unanswered += answered is None or sent > answered
        return last, [week, month, unanswered] if self._answers else [week, month]

    def _answered(self, context: Context) -> datetime | None:
        """Return when the customer last responded to anything, up to now."""
        if not self._answers:
            return None
        answers = [
            event.at
            for event in context.events
            if event.event in self._answers and event.at <= context.at
        ]
        return max(answers, default=None)


def _since(value: FeatureValue | None, at: datetime) -> float | None:
    """Return the logarithm of the days since an instant, negative if it is still to come."""
    return log_days((at - value) / DAY) if isinstance(value, datetime) else None
