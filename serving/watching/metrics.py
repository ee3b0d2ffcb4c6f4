"""What a replica counts while it works: plain numbers, turned into Prometheus text when asked.

The hot path adds to lists and integers of its own event loop; nothing here takes a lock or builds
a label. `serving.watching.exposition` gives the numbers their names.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from time import perf_counter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from agents.decisions import Decision

R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")

SECONDS = (
    0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 2.0,
    5.0,
)  # fmt: skip
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_MOST_MASKS = 500  # before they are gathered by guardrail: many share their reasons


class Histogram:
    """Counts of values by upper bound.

    Args:
        bounds: ascending; a value equal to a bound is counted under it.

    Example:
        >>> sizes = Histogram((1.0, 2.0))
        >>> for size in (1, 2, 7):
        ...     sizes.add(size)
        >>> sizes.counts, sizes.total
        ([1, 1, 1], 10.0)
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Stopwatch:
    """Times one job of the writer: when it was queued, begun and done."""

    __slots__ = ("begun", "done", "queued")

    def __init__(self) -> None:
        self.queued = self.begun = self.done = perf_counter()

    def run(self, work: Callable[[S, R], T], state: S, request: R) -> T:
        """Do the work, and know afterwards when it was begun and done."""
        self.begun = perf_counter()
        try:
            return work(state, request)
        finally:
            self.done = perf_counter()


@dataclass(slots=True)
class Tally:
    """What the decisions of one agent came to.

    `weights` sums `1 / (S p)`, p the propensity of the drawn action and S the number of actions
    that could be drawn: its mean is 1 if, and only if, draws follow the logged distributions.
    """

    decisions: int = 0
    none: int = 0
    explored: int = 0
    weights: float = 0.0
    squares: float = 0.0
    _masks: list[tuple[str | None, ...]] = field(default_factory=list)
    _barred: Counter[str] = field(default_factory=Counter)

    def add(self, decision: Decision) -> None:
        """Count one decision, which was not counted before."""
        self.count(decision.action, decision.distribution, decision.mask.reasons, decision.explored)

    def count(
        self,
        action: int,
        distribution: NDArray[np.float64],
        reasons: tuple[str | None, ...],
        explored: bool,
    ) -> None:
        """Count what one decision came to.

        Args:
            action: position of the drawn action.
            distribution: (A,) that was drawn from.
            reasons: of the mask; A of them.
            explored: as of a decision.
        """
        self.decisions += 1
        self.none += action == 0
        self.explored += explored
        chances = distribution.tolist()
        weight = 1.0 / ((len(chances) - chances.count(0.0)) * chances[action])
        self.weights += weight
        self.squares += weight * weight
        self._masks.append(reasons)
        if len(self._masks) >= _MOST_MASKS:
            self._gather()

    def count_all(
        self,
        actions: NDArray[np.int64],
        distributions: NDArray[np.float64],
        reasons: Iterable[tuple[str | None, ...]],
        explored: int,
    ) -> None:
        """Count what N decisions came to, as `count` does one.

        Args:
            actions: (N,) positions of the drawn actions.
            distributions: (N, A) that were drawn from.
            reasons: of the N masks.
            explored: how many of them explored.
        """
        count = len(actions)
        drawn = distributions[np.arange(count), actions]  # (N,)
        weights = 1.0 / (np.count_nonzero(distributions, axis=1) * drawn)  # (N,)
        self.decisions += count
        self.none += int(np.count_nonzero(actions == 0))
        self.explored += explored
        self.weights += float(weights.sum())
        self.squares += float(weights @ weights)
        self._masks.extend(reasons)
        if len(self._masks) >= _MOST_MASKS:
            self._gather()

    @property
    def mean_weight(self) -> float:
        """Mean importance weight; 1 within its standard error. NaN before the first decision."""
        return self.weights / self.decisions if self.decisions else math.nan

    @property
    def weight_error(self) -> float:
        """Standard error of the mean weight; NaN below two decisions."""
        if self.decisions < 2:
            return math.nan
        spread = self.squares - self.decisions * self.mean_weight**2
        return math.sqrt(max(spread, 0.0) / (self.decisions - 1) / self.decisions)

    def barred(self) -> dict[str, int]:
        """Return how many actions each guardrail has barred, by its name."""
        self._gather()
        return dict(sorted(self._barred.items()))

    def _gather(self) -> None:
        """Keep of each reason the name that it begins with; the rest may hold amounts and dates."""
        for reason, count in Counter(chain.from_iterable(self._masks)).items():
            if reason is not None:
                found = _NAME.match(reason)
                self._barred[found.group() if found else "other"] += count
        self._masks.clear()


@dataclass(slots=True)
class Meters:
    """All that one replica counts.

    Args:
        queue, decide, commit, whole: seconds of decisions: until their turn, inside it, until it
            was durable, and all together.
        replayed: decisions that were answered from the ledger.
        batches: jobs that were committed together.
        commits: seconds of the ledger's commits.
        http: by method, route and status, seconds of requests.
        agents: by name.
        dangling: by loop, what was reported, and what became of it, reports that came for nothing.
    """

    queue: Histogram = field(default_factory=Histogram)
    decide: Histogram = field(default_factory=Histogram)
    commit: Histogram = field(default_factory=Histogram)
    whole: Histogram = field(default_factory=Histogram)
    replayed: int = 0
    batches: Histogram = field(default_factory=lambda: Histogram(SIZES))
    commits: Histogram = field(default_factory=Histogram)
    http: dict[tuple[str, str, int], Histogram] = field(default_factory=dict)
    agents: dict[str, Tally] = field(default_factory=dict)
    dangling: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def decided(self, decision: Decision, watch: Stopwatch, *, replayed: bool) -> None:
        """Count a decision that is durable now."""
        if replayed:
            self.replayed += 1
            return
        now = perf_counter()
        self.queue.add(watch.begun - watch.queued)
        self.decide.add(watch.done - watch.begun)
        self.commit.add(now - watch.done)
        self.whole.add(now - watch.queued)
        self.tally(decision.agent).add(decision)

    def tally(self, agent: str) -> Tally:
        """Return the tally of an agent."""
        tally = self.agents.get(agent)
        if tally is None:
            tally = self.agents[agent] = Tally()
        return tally

    def committed(self, jobs: int, seconds: float) -> None:
        """Count a commit of the ledger."""
        self.batches.add(jobs)
        self.commits.add(seconds)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer; `route` is a template, never what a caller wrote."""
        key = (method, route, status)
        times = self.http.get(key)
        if times is None:
            times = self.http[key] = Histogram()
        times.add(seconds)
