"""Order statistics of a log that is read in pieces: exact, from counts of ever finer bins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from experiments.streaming.counted import Counted, Ints
from experiments.streaming.passes import Run, added
from experiments.streaming.source import Piece

INSTANTS = (32, 16, 0)
"""Bits by which microseconds are shifted, pass after pass: bins of 72 minutes come first."""

NUMBERS = (48, 32, 16, 0)
"""The same for `keys_of` floating-point numbers."""

_MOST_BITS = np.int64(0x7FFF_FFFF_FFFF_FFFF)

Keys = Callable[[Piece], Iterator[Sequence[Ints]]]
"""Yields, for each batch of a piece, the integers of each of C columns."""


@dataclass(frozen=True)
class Columns:
    """How often integers occur in each of C columns."""

    counts: tuple[Counted, ...]

    def __add__(self, other: Columns) -> Columns:
        pairs = zip(self.counts, other.counts, strict=True)
        return Columns(tuple(one + two for one, two in pairs))


def at_ranks(
    keys: Keys,
    pieces: Sequence[Piece],
    run: Run,
    ranks: Callable[[int], Sequence[int]],
    shifts: Sequence[int],
) -> list[list[int]]:
    """Return the integers of some ranks in each column of a log.

    Each pass counts only what falls into a bin that was found by the one before, so that at most
    65,536 bins a rank are ever known.

    Args:
        keys: of the log.
        pieces: of the log.
        run: applies a function to every piece, and returns the answers in order.
        ranks: the ranks from 0 that are wanted of a column, by how many integers it has.
        shifts: bits, falling to 0.

    Returns:
        For each column, the integers of its ranks; none if the column is empty.
    """
    first = added(run(_Count(keys, shifts[0]), pieces))
    wanted = [ranks(int(each.counts.sum())) if len(each.counts) else () for each in first.counts]
    found = [
        [each.at(rank) for rank in of] for each, of in zip(first.counts, wanted, strict=True)
    ]  # (bin, how many are below it) of each rank
    for before, shift in pairwise(shifts):
        bins = tuple(tuple(sorted({value for value, _ in each})) for each in found)
        fine = added(run(_Count(keys, shift, before, bins), pieces))
        for column, each in enumerate(fine.counts):
            of = zip(wanted[column], found[column], strict=True)
            found[column] = [_within(each, before - shift, rank, *place) for rank, place in of]
    return [[value for value, _ in each] for each in found]


def keys_of(numbers: NDArray[np.float64]) -> Ints:
    """Return integers in the order of (n,) numbers.

    Example:
        >>> keys = keys_of(np.array([-2.5, -0.0, 0.0, 1e-300, 3.0]))
        >>> np.diff(keys).tolist()[1], bool(np.all(np.diff(keys) >= 0))
        (0, True)
        >>> number_of(int(keys[0]))
        -2.5
    """
    return _turned((numbers + 0.0).view(np.int64))  # -0.0 and 0.0 are the same number


def number_of(key: int) -> float:
    """Return the number of a key."""
    return float(_turned(np.array([key], dtype=np.int64)).view(np.float64)[0])


def _turned(bits: Ints) -> Ints:
    """Let negative numbers rise; what is turned twice is as before."""
    return np.asarray(np.where(bits < 0, bits ^ _MOST_BITS, bits))


def _within(fine: Counted, bits: int, rank: int, prefix: int, below: int) -> tuple[int, int]:
    """Return the finer bin of a rank, and how many are below it."""
    own = fine.values >> bits == prefix
    value, earlier = Counted(fine.values[own], fine.counts[own]).at(rank - below)
    return value, below + earlier


@dataclass(frozen=True)
class _Count:
    """Counts the bins of a piece, of those alone that are within coarser ones."""

    keys: Keys
    shift: int
    before: int = 0
    bins: tuple[tuple[int, ...], ...] | None = None

    def __call__(self, piece: Piece) -> Columns:
        return added(
            Columns(tuple(self._of(number, column) for number, column in enumerate(batch)))
            for batch in self.keys(piece)
        )

    def _of(self, number: int, column: Ints) -> Counted:
        if self.bins is not None:
            column = column[np.isin(column >> self.before, self.bins[number])]
        return Counted.of(column >> self.shift)
