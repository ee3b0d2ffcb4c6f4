"""What the intervals share: bounds, quantiles, and what is known of an estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special


class Bounds(NamedTuple):
    """The two ends of an interval, in the unit of what it is about."""

    low: float
    high: float

    def union(self, other: Bounds) -> Bounds:
        """Return the smallest interval that holds both."""
        return Bounds(min(self.low, other.low), max(self.high, other.high))


def normal_quantile(level: float) -> float:
    """Return z such that a standard normal lies in [-z, z] with probability `level`.

    Raises:
        ValueError: the level is not inside (0, 1).

    Example:
        >>> round(normal_quantile(0.95), 3)
        1.96
    """
    return float(special.ndtri(_upper_tail(level)))


def t_quantile(level: float, df: float) -> float:
    """Return t such that Student's t with `df` > 0 lies in [-t, t] with probability `level`.

    Raises:
        ValueError: the level is not inside (0, 1).

    Example:
        >>> round(t_quantile(0.95, 4.0), 3)
        2.776
    """
    return float(special.stdtrit(df, _upper_tail(level)))


def check_level(level: float) -> None:
    """Refuse a level that is not inside (0, 1).

    Raises:
        ValueError: it is not.
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"expected a level between 0 and 1, such as 0.95; got {level!r}")


def _upper_tail(level: float) -> float:
    check_level(level)
    return 0.5 + level / 2.0


@dataclass(frozen=True)
class Rows:
    """The decisions behind a sample, in the order of time, for intervals that need each of them.

    Args:
        terms: (N,) currency; their mean is the estimate, see `experiments.tally`.
        weights: (N,) importance weights >= 0.
        rewards: (N,) currency.
        clusters: (N,) number of the customer of each decision.
        stands: (N,) how many decisions each stands for in a thinned log, which `weights` hold
            already; None if for one.
    """

    terms: NDArray[np.float64]
    weights: NDArray[np.float64]
    rewards: NDArray[np.float64]
    clusters: NDArray[np.intp]
    stands: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Grouped:
    """Totals of G groups of decisions that are independent of each other.

    Args:
        sizes: (G,) decisions of each, above 0.
        terms: (G,) totals of the estimate's terms.
        weights: (G,) totals of the importance weights.
        stands: (G,) totals of what the decisions stand for: their number, if none was dropped.
        gains: (G,) totals of weight x reward.
    """

    sizes: NDArray[np.float64]
    terms: NDArray[np.float64]
    weights: NDArray[np.float64]
    stands: NDArray[np.float64]
    gains: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.sizes)


@dataclass(frozen=True)
class Sample:
    """What is known of one estimate, and from which every interval is made.

    Args:
        n: decisions.
        value, stderr: of the estimator, currency per decision; see `experiments.tally`.
        design_effect: how many times the variance exceeds that of independent decisions, >= 1.
        ess: effective sample size of the weights, at most n.
        gain, loss: sum w max(r, 0) / sum w and sum w max(-r, 0) / sum w, currency.
        reward_range: the least and the greatest reward a decision can have.
        weight_limit: the greatest weight that was possible, as far as it is known; at least the
            greatest that was seen.
        rows: each decision; None if the log was streamed and only sums were kept.
        grouped: what the sums of a streamed log say in their place; None if there are rows.
        conversions: effective conversions, counted before costs, see `experiments.weights`;
            infinite if they were not counted.
    """

    n: int
    value: float
    stderr: float
    design_effect: float
    ess: float
    gain: float
    loss: float
    reward_range: Bounds
    weight_limit: float
    rows: Rows | None = None
    conversions: float = math.inf
    grouped: Grouped | None = None


class Interval(Protocol):
    """A way to say how far an estimate may be from the truth."""

    @property
    def name(self) -> str:
        """Short, as on the command line."""

    @property
    def assumption(self) -> str:
        """Under what the nominal coverage holds, in a few words; or that it is only measured."""

    @property
    def anytime(self) -> bool:
        """Whether it holds at all sample sizes at once, so that one may look and stop."""

    @property
    def needs_rows(self) -> bool:
        """Whether it needs `Sample.rows`, or `Sample.grouped` in their place."""

    def bounds(self, sample: Sample, level: float, /) -> Bounds:
        """Return the interval at a nominal coverage in (0, 1)."""
