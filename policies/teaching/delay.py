"""Delay curves: by which age of a decision how much of what will still happen has happened.

F(t) = P(happened by age t | happens inside its window), at four ages of the window. A decision
after which nothing has happened by age t says little while F(t) is small, so absence is learned
little by little: with the decision a negative of weight F(first age), and at each age one of
F(next age) - F(age), which add up to 1. Each is a little early, so that a learner need not wait
for the first age; an outcome takes back the one it falls into.

An outcome is seen only if its delay is less than its decision's present age, so short delays are
over-represented among what is known: right truncation. The product-limit estimate for it runs
backwards in time. With n_k the outcomes of decisions that have reached age k whose delay is at
most age k, and d_k those of them whose delay is above age k-1,

    F(age k) = product over j > k of (1 - d_j / n_j).

While no window has ended, nothing is known of the last stretch and F is 1 before it: absence is
then learned too early, though later than in one negative at once, as before there is a curve.

Source: Lagakos, Barraj and De Gruttola, Biometrika 75 (1988); the weights are the first-order form
of the likelihood of Chapelle, KDD 2014.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

AGES = (0.1, 0.25, 0.5, 1.0)
"""Shares of an outcome's window at which stretches end; absence is learned as one begins."""

KNOWN = 50
"""Outcomes that must have been heard before their curve is used; its error is then about 0.07."""

_EVERY = 50  # outcomes from one look at the curve to the next
_MOVED = 0.02  # a curve that moved less than this is the same curve
_LAST = 2_000  # at so many outcomes half of their weight is forgotten
_GRID = 2.0**20  # values of F are multiples of 1 / _GRID, so that weights add up to 1 exactly

Weights = tuple[float, ...]


def due_at(decided_at: datetime, window: timedelta, age: int) -> datetime:
    """Return when a decision reaches one of `AGES`, by its position."""
    return decided_at + _spans(window)[age]


@lru_cache(maxsize=1_024)
def _spans(window: timedelta) -> tuple[timedelta, ...]:
    return tuple(age * window for age in AGES)


@lru_cache(maxsize=1_024)
def _stretches(values: Weights) -> Weights:
    """Return by how much F rises in each stretch."""
    return tuple(f - before for f, before in zip(values, (0.0, *values), strict=False))


def age_of(decided_at: datetime, window: timedelta, at: datetime) -> int:
    """Return the first of `AGES`, by its position, that is not before an instant; the last at most.

    Example:
        >>> from datetime import UTC
        >>> start = datetime(2026, 3, 2, tzinfo=UTC)
        >>> age_of(start, timedelta(days=10), start + timedelta(days=2))
        1
    """
    last = len(AGES) - 1
    return next((k for k in range(last) if at <= due_at(decided_at, window, k)), last)


def passed(decided_at: datetime, window: timedelta, at: datetime) -> int:
    """Return how many of `AGES` a decision has reached at an instant."""
    return sum(due_at(decided_at, window, k) <= at for k in range(len(AGES)))


def _zeros() -> NDArray[np.float64]:
    return np.zeros(len(AGES))


@dataclass(slots=True)
class Curve:
    """The delay curve of one outcome, and the versions of it that decisions were made under.

    Args:
        heard: number of outcomes heard.
        inside: (4,) n_k, with older outcomes halved again and again.
        latest: (4,) d_k, likewise.
        versions: (position of the log, F at each of `AGES`), since when each holds.

    Example:
        >>> curve = Curve()
        >>> for number in range(50):
        ...     for age in range(1, 4):
        ...         curve.observe(1, age)
        ...     curve.hear(position=number)
        >>> curve.weights(48), curve.weights(50)
        (None, (0.0, 1.0, 0.0, 0.0))
    """

    heard: int = 0
    inside: NDArray[np.float64] = field(default_factory=_zeros)
    latest: NDArray[np.float64] = field(default_factory=_zeros)
    versions: list[tuple[int, Weights]] = field(default_factory=list)

    def observe(self, delay: int, age: int) -> None:
        """Count an outcome whose decision has reached an age.

        Args:
            delay: the first of `AGES` by which it had happened, by its position.
            age: the age reached, not before `delay`.
        """
        self.inside[age] += 1.0
        self.latest[age] += float(delay == age)
        if self.inside[age] >= _LAST:
            self.inside[age] *= 0.5
            self.latest[age] *= 0.5

    def fit(self) -> Weights:
        """Return F at each of `AGES`; the last is 1."""
        hazard = self.latest / np.maximum(self.inside, 1.0)  # (4,) backwards in time
        later = np.cumprod(1.0 - hazard[:0:-1])[::-1]  # (3,)
        return (*(np.round(later * _GRID) / _GRID).tolist(), 1.0)

    def hear(self, position: int) -> None:
        """Count an outcome that was heard, and look now and then whether the curve has moved.

        Args:
            position: of the log; a new version holds for decisions from there on.
        """
        self.heard += 1
        if self.heard < KNOWN or self.heard % _EVERY:
            return
        new = self.fit()
        old = self.versions[-1][1] if self.versions else _zeros()
        if np.max(np.abs(np.subtract(new, old))) > _MOVED:
            self.versions.append((position, new))

    def weights(self, position: int) -> Weights | None:
        """Return the weights of the negatives of the stretches that end at `AGES`; they sum to 1.

        Args:
            position: of the decision in the log.

        Returns:
            None if the curve was not known by then: one negative at once.
        """
        if not self.versions:
            return None
        since, values = self.versions[-1]
        if position < since:
            version = bisect_right(self.versions, position, key=lambda row: row[0]) - 1
            if version < 0:
                return None
            values = self.versions[version][1]
        return _stretches(values)

    def anew(self) -> Curve:
        """Return the curve as it is to begin another log with."""
        versions = [(0, values) for _, values in self.versions[-1:]]
        return Curve(self.heard, self.inside.copy(), self.latest.copy(), versions)

    def facts(self) -> dict[str, Any]:
        """Return the state as plain values for JSON."""
        return {
            "heard": self.heard,
            "inside": self.inside.tolist(),
            "latest": self.latest.tolist(),
            "versions": [[position, list(values)] for position, values in self.versions],
        }

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Rebuild from `facts`."""
        return cls(
            int(facts["heard"]),
            np.array(facts["inside"], dtype=np.float64),
            np.array(facts["latest"], dtype=np.float64),
            [(int(position), tuple(values)) for position, values in facts["versions"]],
        )
