"""Keys: which rows of a batch are alike.

Rows with one code are alike in all that a rule looks at, so one of them speaks for all. A key may
tell apart what is alike, which costs time; it never takes for alike what is not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_DENSE = 1 << 17  # up to so many codes a table is cheaper than sorting the rows

Codes = NDArray[np.int64]


class Key(NamedTuple):
    """A code for each row.

    Args:
        codes: (N,) from 0 to below `size`.
        size: how many codes there may be; not each needs to occur.

    Example:
        >>> rows = Key(np.array([0, 1, 0]), 2) * Key(np.array([2, 2, 2]), 3)
        >>> rows.classes()
        (array([0, 1]), array([0, 1, 0]))
    """

    codes: Codes
    size: int

    def __mul__(self, other: object) -> Key:
        """Rows are alike if they are alike by both keys."""
        if not isinstance(other, Key):
            return NotImplemented
        if self.size == 1 or other.size == 1:
            return other if self.size == 1 else self
        left = self if self.size * other.size <= 1 << 62 else self.dense()
        right = other if left.size * other.size <= 1 << 62 else other.dense()
        both = Key(left.codes * right.size + right.codes, left.size * right.size)
        return both if both.size <= _DENSE else both.dense()

    def classes(self) -> tuple[NDArray[np.intp], Codes]:
        """Return one row of each class (C,), and the class of each row (N,)."""
        if self.size > _DENSE:
            _, first, inverse = np.unique(self.codes, return_index=True, return_inverse=True)
            return first, inverse
        rows = np.full(self.size, -1, dtype=np.intp)
        rows[self.codes[::-1]] = np.arange(len(self.codes) - 1, -1, -1)
        found = np.flatnonzero(rows >= 0)
        numbers = np.zeros(self.size, dtype=np.int64)
        numbers[found] = np.arange(len(found))
        return rows[found], numbers[self.codes]

    def dense(self) -> Key:
        """Number the codes that occur from 0, without gaps."""
        first, inverse = self.classes()
        return Key(inverse, len(first))


def same(count: int) -> Key:
    """All rows alike."""
    return Key(np.zeros(count, dtype=np.int64), 1)


def each(count: int) -> Key:
    """No two rows alike."""
    return Key(np.arange(count, dtype=np.int64), max(count, 1))


def of_flags(flags: NDArray[np.bool_]) -> Key:
    """Alike by truth; (N,)."""
    return Key(flags.astype(np.int64), 2)


def of_values(values: NDArray[np.int64] | NDArray[np.float64]) -> Key:
    """Alike by value; (N,)."""
    found, inverse = np.unique(values, return_inverse=True)
    return Key(inverse.astype(np.int64), max(len(found), 1))


def of_counts(counts: NDArray[np.int64]) -> Key:
    """Alike by a row of small whole numbers from 0; (N, K)."""
    bits = max(1, int(counts.max(initial=0)).bit_length())
    fit = 62 // bits  # so many numbers share one word
    powers = 1 << (bits * np.arange(fit, dtype=np.int64))
    return all_of(
        (
            Key(counts[:, at : at + fit] @ powers[: counts[:, at : at + fit].shape[1]], 1 << 62)
            for at in range(0, counts.shape[1], fit)
        ),
        len(counts),
    )


def of_bits(bits: NDArray[np.bool_]) -> Key:
    """Alike by a row of truths; (N, K)."""
    return of_counts(bits.astype(np.int64))


def all_of(keys: Iterable[Key], count: int) -> Key:
    """Alike by all keys."""
    result = same(count)
    for key in keys:
        result = result * key
    return result


def refine(base: Key, rows: NDArray[np.intp], finer: Key) -> Key:
    """Tell some rows further apart: `finer` holds for `rows` only; (M,)."""
    finer = finer.dense()
    codes = np.zeros(len(base.codes), dtype=np.int64)
    codes[rows] = finer.codes + 1
    return base * Key(codes, finer.size + 1)
