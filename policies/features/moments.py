"""Running moments: the scale of a number that comes by one value at a time."""

from __future__ import annotations

import math

CLIP = 5.0  # standard deviations
LEAST_SQUARES = 1e-200  # squares below count as no spread, so that 1 / sd stays finite


class Moments:
    """Running mean and variance of one number.

    Args:
        count, mean: of the values so far.
        squares: sum of their squared deviations from the mean.

    Attributes:
        scale: 1 / sd, or 0 while no spread has been seen: every value then counts as average.

    Source: Welford, Technometrics 1962.

    Example:
        >>> seen = Moments()
        >>> for value in (1.0, 3.0):
        ...     seen.add(value)
        >>> seen.mean, seen.standardise(3.0)
        (2.0, 1.0)
    """

    __slots__ = ("count", "mean", "scale", "squares")

    def __init__(self, count: float = 0.0, mean: float = 0.0, squares: float = 0.0) -> None:
        self.count, self.mean, self.squares = count, mean, squares
        self.scale = math.sqrt(count / squares) if squares > LEAST_SQUARES else 0.0

    def add(self, value: float) -> None:
        """Take in one more value."""
        self.count = count = self.count + 1.0
        step = value - self.mean
        self.mean += step / count
        self.squares = squares = self.squares + step * (value - self.mean)
        if squares > LEAST_SQUARES:
            self.scale = math.sqrt(count / squares)

    def standardise(self, value: float) -> float:
        """Return (value - mean) / sd, at most 5 either way; 0 while no spread has been seen."""
        score = (value - self.mean) * self.scale
        if -CLIP <= score <= CLIP:
            return score
        return CLIP if score > 0.0 else -CLIP
