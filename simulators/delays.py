"""Delays: how long after a message, or after nothing, an outcome arrives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from agents.tabular.columns import span_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_DAY = timedelta(days=1)
_DAY_US = 86_400e6
_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Lognormal:
    """One component of a delay: log T is normal.

    Args:
        weight: share of the mixture, above 0.
        median_days: above 0.
        sigma: standard deviation of log T, above 0.
    """

    weight: float
    median_days: float
    sigma: float

    def share_within(self, days: float) -> float:
        """P(T <= days)."""
        if days <= 0.0:
            return 0.0
        return float(ndtr(math.log(days / self.median_days) / self.sigma))

    def quantile(self, share: float) -> float:
        """Days within which a share of the component has arrived, share in (0, 1)."""
        return self.median_days * math.exp(self.sigma * float(ndtri(share)))


@dataclass(frozen=True, slots=True)
class Delay:
    """A mixture of lognormals: the quick ones and those who think it over.

    Truncation inside a window is exact: a component is drawn in proportion to the part of it
    that fits into the window, then its truncated distribution is inverted. So the probability of
    an outcome inside its window is a number the world knows, not one it has to sample.

    Args:
        components: at least one; their weights sum to 1.

    Raises:
        ValueError: the weights do not sum to 1.

    Example:
        >>> delay = Delay((Lognormal(0.5, 1.0, 1.0), Lognormal(0.5, 6.0, 0.5)))
        >>> delay.share_within(timedelta(days=1)) > 0.25
        True
        >>> delay.within(timedelta(days=2), 0.9, 0.99) < timedelta(days=2)
        True
    """

    components: tuple[Lognormal, ...]

    def __post_init__(self) -> None:
        total = sum(component.weight for component in self.components)
        if not math.isclose(total, 1.0):
            raise ValueError(f"components: expected weights that sum to 1, got {total:g}")

    def share_within(self, window: timedelta) -> float:
        """P(T <= window), the share of outcomes that arrive inside a window."""
        days = window / _DAY
        return sum(c.weight * c.share_within(days) for c in self.components)

    def within(self, window: timedelta, which: float, when: float) -> timedelta:
        """Turn two uniform numbers into a delay of the distribution truncated to [0, window).

        The end is left out, as rewards leave it out: an outcome then would no longer count.

        Args:
            window: above 0.
            which: uniform in [0, 1); picks the component.
            when: uniform in [0, 1); the quantile inside it.
        """
        numbers = np.array([which]), np.array([when])
        (delay,) = self.within_many(np.array([span_of(window)]), *numbers).tolist()
        return timedelta(microseconds=delay)

    def within_many(self, windows: Ints, which: Floats, when: Floats) -> Ints:
        """Do the same for n delays at once; the same numbers give the same delay either way.

        Args:
            windows: (n,) microseconds, above 0.
            which: (n,) uniform in [0, 1).
            when: (n,) uniform in [0, 1).

        Returns:
            (n,) microseconds, from 0 to below the window.
        """
        weights, medians, sigmas = np.array(
            [(c.weight, c.median_days, c.sigma) for c in self.components]
        ).T
        lengths = np.log(windows / _DAY_US)[:, None]  # (n, 1)
        inside = ndtr((lengths - np.log(medians)) / sigmas)  # (n, components)
        edges = np.cumsum(weights * inside, axis=1)
        target = which * edges[:, -1]
        place = np.minimum((target[:, None] >= edges).sum(axis=1), len(weights) - 1)
        share = np.maximum(when * inside[np.arange(len(place)), place], _TINY)
        days = medians[place] * np.exp(sigmas[place] * ndtri(share))
        delays = np.minimum(np.rint(days * _DAY_US), windows - 1.0)
        return np.asarray(delays, dtype=np.int64)
