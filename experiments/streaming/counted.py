"""How often integers occur: counts that can be added, and looked up by rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Counted:
    """How often integers occur: different ones in order, and the count of each; (M,) both."""

    values: Ints
    counts: Ints

    @classmethod
    def of(cls, values: Ints) -> Counted:
        """Count (n,) integers."""
        return cls(*np.unique(values, return_counts=True))

    def __add__(self, other: Counted) -> Counted:
        values, place = np.unique(np.concatenate([self.values, other.values]), return_inverse=True)
        weights = np.concatenate([self.counts, other.counts]).astype(np.float64)
        return Counted(values, np.bincount(place, weights).astype(np.int64))

    def at(self, rank: int) -> tuple[int, int]:
        """Return the integer of a rank from 0 in their order, and how many are below it."""
        ends = np.cumsum(self.counts)
        place = int(np.searchsorted(ends, rank, side="right"))
        return int(self.values[place]), int(ends[place] - self.counts[place])
