"""What is kept of decisions that are being taught, while something may still be heard of them."""

from __future__ import annotations

import numpy as np

from policies.teaching.labels import Floats, Ints, Taught

_FIRST_SIZE = 1_024


class Pool:
    """Decisions by number, from 0; the oldest are dropped.

    Args:
        columns: D numbers of each.

    Attributes:
        oldest: number of the first one that is kept.
        end: the number that the next one will have.

    Example:
        >>> pool = Pool(1)
        >>> pool.add(np.zeros((3, 1)), np.array([1, 2, 3]), 20_000)
        0
        >>> pool.forget(2), pool.taught().action.tolist()
        (2, [3])
    """

    def __init__(self, columns: int) -> None:
        self.oldest = self.end = 0
        self._base = 0  # number of what is held in the first row
        self._unscaled: Floats = np.empty((_FIRST_SIZE, columns))
        self._whole: Ints = np.empty((_FIRST_SIZE, 2), dtype=np.int64)  # action, day

    def add(self, unscaled: Floats, actions: Ints, day: int) -> int:
        """Add decisions of one day; return the number of the first."""
        first, self.end = self.end, self.end + len(actions)
        if self.end - self._base > len(self._whole):
            self._make_room(first)
        rows = slice(first - self._base, self.end - self._base)
        self._unscaled[rows] = unscaled
        self._whole[rows, 0], self._whole[rows, 1] = actions, day
        return first

    def _make_room(self, first: int) -> None:
        kept = slice(self.oldest - self._base, first - self._base)
        size = max(len(self._whole), 3 * (self.end - self.oldest) // 2)
        unscaled = np.empty((size, self._unscaled.shape[1]))
        whole = np.empty((size, 2), dtype=np.int64)
        unscaled[: first - self.oldest] = self._unscaled[kept]
        whole[: first - self.oldest] = self._whole[kept]
        self._unscaled, self._whole, self._base = unscaled, whole, self.oldest

    def forget(self, before: int) -> int:
        """Drop those before a number; return the number of the oldest that is kept."""
        self.oldest = max(self.oldest, before)
        return self.oldest

    def taught(self) -> Taught:
        """Return all that are kept, the oldest first; views of what is held."""
        rows = slice(self.oldest - self._base, self.end - self._base)
        action, day = (np.ascontiguousarray(part) for part in self._whole[rows].T)
        return Taught(self._unscaled[rows], action, day)
