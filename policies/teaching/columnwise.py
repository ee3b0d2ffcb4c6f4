"""The teacher of many decisions at once: what `Teacher` yields for each, in the same order.

Decisions of one instant reach their ages together, so what falls due is worked out for all of
them; outcomes are rare and are taken one by one. It teaches simulations, where nothing is
retracted or released, and a decision hears of each outcome once.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.tabular.columns import microseconds, span_of
from policies.teaching.delay import AGES, Curve, Weights
from policies.teaching.labels import Flags, Floats, Ints, Labels, Taught
from policies.teaching.pooled import Pool
from policies.teaching.written import Written

_DAY_US = 86_400_000_000
_WAITING = -1  # in place of an age: it has not happened


@dataclass(slots=True)
class _Made:
    """Decisions of one instant.

    Args:
        at: microseconds since 1970.
        first: number of the first of them.
        weights: by outcome, of their negatives; None if there was one negative at once.
        delay: (n, O) age by which an outcome has happened, `_WAITING` while it has not.
    """

    at: int
    first: int
    weights: list[Weights | None]
    delay: NDArray[np.int8]


class _Due(NamedTuple):
    at: int
    made: int  # number of the decisions of one instant
    rank: int  # of the outcome's name
    age: int


class TableTeacher:
    """Teaches one agent's learner of decisions that come by many at an instant.

    Args:
        windows: of each outcome of the agent, in its order; O of them.
        columns: D numbers are kept of each decision.
        late: how long after an outcome's window it may be heard at most.

    Attributes:
        curves: of each outcome.
    """

    def __init__(
        self, windows: Mapping[str, timedelta], columns: int, late: timedelta = timedelta(0)
    ) -> None:
        self.curves = [Curve() for _ in windows]
        names = sorted(windows)
        self._ranked = [list(windows).index(name) for name in names]  # outcomes by their names
        self._due_after = [[span_of(age * window) for age in AGES] for window in windows.values()]
        self._keep = span_of(max(windows.values()) + late)
        self._made: dict[int, _Made] = {}  # by number, oldest first
        self._count = 0
        self._ahead: list[_Due] = []  # a heap
        self._pool, self._written = Pool(columns), Written()

    def decided(self, at: datetime, unscaled: Floats, actions: Ints) -> int:
        """Take in decisions that teach, in the order of the log.

        Args:
            at: their instant (UTC), no earlier than anything before.
            unscaled: (n, D) as of `Taught`.
            actions: (n,) positions.

        Returns:
            The number of the first of them; the others follow.
        """
        now, count = microseconds(at), len(actions)
        self.until(at)
        weights = [c.weights(c.versions[-1][0]) if c.versions else None for c in self.curves]
        made = _Made(now, self._pool.add(unscaled, actions, now // _DAY_US), weights,
                     np.full((count, len(weights)), _WAITING, dtype=np.int8))  # fmt: skip
        self._made[self._count] = made
        given = [(o, 1.0 if own is None else own[0]) for o, own in enumerate(weights)]
        given = [(o, weight) for o, weight in given if weight] or [(-1, 0.0)]
        rows = np.repeat(np.arange(count), len(given))
        outcomes, shares = (np.tile(column, count) for column in zip(*given, strict=True))
        starts = np.arange(rows.size) % len(given) == 0
        self._written.add(made.first, rows, outcomes, shares, starts)
        for rank, outcome in enumerate(self._ranked):
            heapq.heappush(
                self._ahead, _Due(now + self._due_after[outcome][0], self._count, rank, 0)
            )
        self._count += 1
        return made.first

    def heard(
        self, decisions: Ints, outcomes: Ints, at: Ints, reached: Ints, position: int
    ) -> None:
        """Take in outcomes that count, in the order in which they are heard; (H,) each.

        Args:
            decisions: numbers, as of `decided`.
            outcomes: positions among the agent's.
            at: when they happened, microseconds since 1970.
            reached: when they are heard, likewise.
            position: how many decisions the log holds by now, those that do not teach included.
        """
        firsts, numbers = [made.first for made in self._made.values()], list(self._made)
        columns = (decisions.tolist(), outcomes.tolist(), at.tolist(), reached.tolist())
        for decision, outcome, when, now in zip(*columns, strict=True):
            self._until(now)
            made = self._made[numbers[bisect_right(firsts, decision) - 1]]
            self._happened(made, decision, outcome, when, now, position)

    def _happened(
        self, made: _Made, decision: int, outcome: int, at: int, now: int, position: int
    ) -> None:
        row, curve, due = decision - made.first, self.curves[outcome], self._due_after[outcome]
        labels = [(outcome, True, 1.0)]
        reached = sum(made.at + after <= now for after in due)
        watched = made.weights[outcome] is not None or reached < len(AGES)
        if watched and reached < len(AGES) and made.delay[row, outcome] == _WAITING:
            last = len(AGES) - 1
            delay = next((k for k in range(last) if at <= made.at + due[k]), last)
            made.delay[row, outcome] = delay
            taken_back = sum((made.weights[outcome] or ())[delay : reached + 1])
            if taken_back:
                labels.append((outcome, False, -taken_back))
            for age in range(delay, reached):
                curve.observe(delay, age)
            curve.hear(position)
        self._written.tell(decision, labels)

    def until(self, at: datetime) -> None:
        """Let everything fall due until an instant (UTC), included."""
        self._until(microseconds(at))

    def _until(self, now: int) -> None:
        while self._ahead and self._ahead[0].at <= now:
            instant, number = self._ahead[0][:2]
            made, ages = self._made[number], []
            while self._ahead and self._ahead[0][:2] == (instant, number):
                due = heapq.heappop(self._ahead)
                ages.append((self._ranked[due.rank], due.age))
                if due.age + 1 < len(AGES):
                    later = made.at + self._due_after[ages[-1][0]][due.age + 1]
                    heapq.heappush(self._ahead, _Due(later, number, due.rank, due.age + 1))
            self._reach(made, ages)

    def _reach(self, made: _Made, ages: list[tuple[int, int]]) -> None:
        """Let decisions reach an age of some outcomes, which are in the order of their names."""
        told: Flags = np.zeros((len(made.delay), len(ages)), dtype=np.bool_)
        shares = np.zeros(len(ages))
        for place, (outcome, age) in enumerate(ages):
            delay = made.delay[:, outcome]
            for happened in delay[(delay != _WAITING) & (delay <= age)].tolist():
                self.curves[outcome].observe(happened, age)
            ahead = (made.weights[outcome] or ())[age + 1 : age + 2]
            shares[place] = sum(ahead)
            told[:, place] = (delay == _WAITING) & (shares[place] != 0.0)
        rows, places = np.nonzero(told)
        outcomes = np.array([outcome for outcome, _ in ages], dtype=np.int64)
        none_first = np.zeros(rows.size, dtype=np.bool_)
        self._written.add(made.first, rows, outcomes[places], shares[places], none_first)

    @property
    def oldest(self) -> int:
        """Number of the decision at position 0 of what `take` returns."""
        return self._pool.oldest

    def take(self) -> tuple[Taught, Labels]:
        """Return what is to be learned since it was last asked, and forget it.

        The arrays hold until the next decisions are taken in.
        """
        labels = self._written.take(self._pool.oldest)
        return self._pool.taught(), labels

    def forget(self, at: datetime) -> int:
        """Drop decisions of which nothing more can be heard; return the number of the oldest kept.

        Args:
            at: now (UTC); nothing is waiting to be taken.
        """
        past = microseconds(at) - self._keep
        for number in [n for n, made in self._made.items() if made.at < past]:
            del self._made[number]
        oldest = next(iter(self._made.values()), None)
        return self._pool.forget(self._pool.end if oldest is None else oldest.first)
