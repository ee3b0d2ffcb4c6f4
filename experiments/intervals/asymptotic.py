"""Asymptotic confidence sequences: intervals that hold at every look at once, however many."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

TARGET = (
    10_000.0  # observations at which a sequence is narrowest, unless somebody planned otherwise
)

FIRST_LOOK = 30.0
"""Effective conversions that each group needs before anybody looks: a standard error from fewer is
often far too small in a small group. `experiments.studies.peeking` runs with it."""


class Band(NamedTuple):
    """The two ends of intervals, one at each look, in the unit of what they are about."""

    low: Floats
    high: Floats


class Sums(NamedTuple):
    """All that a sequence remembers of its observations: it can be streamed and merged.

    Args:
        n: how many; any shape.
        total: their sum, of the same shape.
        squares: the sum of their squares, of the same shape.

    Example:
        >>> first, rest = Sums.of([1.0, 0.0]), Sums.of([0.0, 3.0])
        >>> float(first.add(rest).mean), float(first.add(rest).variance)
        (1.0, 2.0)
    """

    n: Floats
    total: Floats
    squares: Floats

    @classmethod
    def of(cls, values: ArrayLike) -> Sums:
        """Sum up observations along the last axis."""
        x = np.asarray(values, dtype=np.float64)  # (..., N)
        n = np.full(x.shape[:-1], float(x.shape[-1]))
        return cls(n, x.sum(axis=-1), np.square(x).sum(axis=-1))

    @classmethod
    def running(cls, values: ArrayLike) -> Sums:
        """Sum up observations one by one along the last axis; the shape stays."""
        x = np.asarray(values, dtype=np.float64)  # (..., N)
        n = np.broadcast_to(np.arange(1.0, x.shape[-1] + 1.0), x.shape)
        return cls(n, x.cumsum(axis=-1), np.square(x).cumsum(axis=-1))

    def add(self, other: Sums) -> Sums:
        """Return the sums of both."""
        return Sums(self.n + other.n, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> Floats:
        """The mean; NaN without observations."""
        return np.asarray(self.total / np.where(self.n > 0.0, self.n, np.nan))

    @property
    def variance(self) -> Floats:
        """The sample variance, n - 1 below the line; NaN with fewer than two observations."""
        spread = np.maximum(self.squares - np.nan_to_num(self.mean) * self.total, 0.0)
        return np.asarray(spread / np.where(self.n > 1.0, self.n - 1.0, np.nan))


def tuned_rho(target: float = TARGET, level: float = 0.95) -> float:
    """Return the mixture's rho with which a sequence is narrowest at a number of observations.

    rho = sqrt((-2 log alpha + log(1 - 2 log alpha)) / target). It must be chosen before the data
    are seen: a target that follows the data makes every look the best one, and gives away what
    makes the sequence valid.

    Args:
        target: observations at which it shall be narrowest, >= 1.
        level: nominal coverage of all looks together, in (0, 1).

    Raises:
        ValueError: one of them is out of range.

    Source: Waudby-Smith et al., arXiv 2103.06476, appendix on tuning.
    """
    alpha = _alpha(level)
    if not target >= 1.0 or math.isinf(target):
        raise ValueError(f"expected a target of at least 1 observation, got {target!r}")
    heavy = -2.0 * math.log(alpha)
    return math.sqrt((heavy + math.log(heavy + 1.0)) / target)


def multiplier(n: ArrayLike, rho: float, level: float = 0.95, sides: Literal[1, 2] = 2) -> Floats:
    """Return how many standard errors a sequence reaches; where a fixed interval has 1.96.

    Two-sided: sqrt(2 (n rho^2 + 1) / (n rho^2) log(sqrt(n rho^2 + 1) / alpha)). One-sided, with
    log(1 + sqrt(n rho^2 + 1) / (2 alpha)) in its place.

    Args:
        n: observations so far, any shape; below 1 the answer is infinite.
        rho: from `tuned_rho`.
        level: nominal coverage of all looks together, in (0, 1).
        sides: 1 for a bound on one side only.

    Source: Waudby-Smith et al., arXiv 2103.06476, theorem 2.2 and its one-sided form.

    Example:
        >>> float(np.round(multiplier(10_000, tuned_rho(10_000)), 2))
        3.04
    """
    alpha = _alpha(level)
    seen = np.asarray(n, dtype=np.float64)
    grown = np.maximum(seen, 1.0) * rho**2
    root = np.sqrt(grown + 1.0)
    reach = np.log(root / alpha) if sides == 2 else np.log1p(root / (2.0 * alpha))
    return np.asarray(np.where(seen >= 1.0, np.sqrt(2.0 * (grown + 1.0) / grown * reach), np.inf))


def evidence(z: ArrayLike, n: ArrayLike, rho: float) -> Floats:
    """Return how much speaks against "there is no difference", as an e-value at each look.

    exp(z^2 g / (2 (g + 1))) / sqrt(g + 1) with g = n rho^2. It exceeds 1/alpha exactly where the
    sequence of `multiplier` leaves 0 out; `sequential.always_valid_p` makes p-values of it.

    Args:
        z: estimate over standard error; NaN where it is not known, which speaks neither way.
        n: observations so far, the sequence's clock.
        rho: from `tuned_rho`.

    Example:
        >>> rho = tuned_rho(10_000)
        >>> round(float(evidence(multiplier(500, rho), 500, rho)), 6)
        20.0
    """
    grown = np.maximum(np.asarray(n, dtype=np.float64), 1.0) * rho**2
    power = np.square(np.asarray(z, dtype=np.float64)) * grown / (2.0 * (grown + 1.0))
    value = np.exp(np.minimum(power, 700.0)) / np.sqrt(grown + 1.0)
    return np.asarray(np.where(np.isnan(value), 1.0, value))


def mean_sequence(sums: Sums, *, rho: float, level: float = 0.95, sides: Literal[1, 2] = 2) -> Band:
    """Return intervals for a mean that hold at all looks at once.

    mean -+ multiplier sqrt(variance / n). It assumes independent observations (or a martingale
    with a variance that settles), and enough of them at the first look for a mean to be about
    normal: with rare conversions, not before there are `FIRST_LOOK`. It is asymptotic: a theorem in
    the limit of late first looks, not for every n as betting sequences are.

    Args:
        sums: of the observations up to each look, any shape.
        rho: from `tuned_rho`.
        level: nominal coverage of all looks together.
        sides: 1 if only one of the two ends will be used.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Annals of Statistics 2024.
    """
    error = np.sqrt(sums.variance / sums.n)
    return around(sums.mean, error, sums.n, rho=rho, level=level, sides=sides)


def difference_sequence(
    one: Sums, other: Sums, *, rho: float, level: float = 0.95, sides: Literal[1, 2] = 2
) -> Band:
    """Return intervals for a difference of means, one - other, that hold at all looks at once.

    The clock is the observations of both groups, the standard error sqrt(s1^2/n1 + s2^2/n2): the
    sequence for a difference in a randomised experiment whose groups grow side by side.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> one, other = (Sums.running(rng.normal(mean, 1.0, 5_000)) for mean in (0.2, 0.0))
        >>> band = difference_sequence(one, other, rho=tuned_rho(10_000))
        >>> bool(np.all((band.low[10:] < 0.2) & (0.2 < band.high[10:]))), bool(band.low[-1] > 0.0)
        (True, True)
    """
    error = np.sqrt(one.variance / one.n + other.variance / other.n)
    value = one.mean - other.mean
    return around(value, error, one.n + other.n, rho=rho, level=level, sides=sides)


def around(
    value: ArrayLike,
    stderr: ArrayLike,
    n: ArrayLike,
    *,
    rho: float,
    level: float = 0.95,
    sides: Literal[1, 2] = 2,
) -> Band:
    """Return value -+ multiplier x stderr at each look; endless where the error is unknown.

    For any estimate that is a mean of independent terms in the limit: a ratio of means, a doubly
    robust value, a Kaplan-Meier share.

    Args:
        value: the estimate at each look.
        stderr: its standard error at each look; NaN where it cannot be known yet.
        n: observations so far, the sequence's clock.
        rho: from `tuned_rho`.
        level: nominal coverage of all looks together.
        sides: 1 if only one of the two ends will be used.
    """
    error = np.asarray(stderr, dtype=np.float64)
    known = np.where(np.isnan(error), np.inf, error)
    reach = multiplier(n, rho, level, sides) * known
    middle = np.nan_to_num(np.asarray(value, dtype=np.float64))
    return Band(middle - reach, middle + reach)


def _alpha(level: float) -> float:
    if not 0.0 < level < 1.0:
        raise ValueError(f"expected a level between 0 and 1, such as 0.95; got {level!r}")
    return 1.0 - level
