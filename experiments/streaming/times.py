"""The instants that divide a streamed log: blocks of time for the reward model, and its halves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from experiments.logs.columns import instants
from experiments.streaming.counted import Counted, Ints
from experiments.streaming.reading import WHEN, Reader, row_numbers
from experiments.streaming.source import Batch, Piece

_SHIFT = 26  # microseconds: bins of 67 s, some 470,000 a year


@dataclass(frozen=True)
class Cuts:
    """Where blocks of time begin, and the second half; instants in microseconds since 1970.

    Decisions of one instant are divided by their order in the log.

    Args:
        at, rows: (B - 1,) the first decision of each block but the first: its instant, and its
            number among the rows of all files.
        middle: the instant at which the second half begins.
    """

    at: Ints
    rows: Ints
    middle: np.datetime64

    def blocks(self, at: Ints, rows: Ints) -> NDArray[np.intp]:
        """Return the number of the block of (n,) decisions."""
        if not len(at):
            return np.zeros(0, dtype=np.intp)
        first, end = np.searchsorted(self.at, at.min()), np.searchsorted(self.at, at.max(), "right")
        if first == end:  # no block begins among them
            return np.full(len(at), first)
        later = (at[:, None] > self.at) | ((at[:, None] == self.at) & (rows[:, None] >= self.rows))
        return np.asarray(np.count_nonzero(later, axis=1), dtype=np.intp)


def bins(at: NDArray[np.datetime64]) -> Counted:
    """Count instants by bins of 67 seconds, from which `find_cuts` starts."""
    return Counted.of(microseconds(at) >> _SHIFT)


def microseconds(at: NDArray[np.datetime64]) -> Ints:
    """Return instants as microseconds since 1970; (n,)."""
    return np.asarray(at.astype("datetime64[us]").astype(np.int64))


Run = Callable[[Callable[[Piece], Counted], Sequence[Piece]], Iterable[Counted]]


def find_cuts(
    coarse: Counted, reader: Reader, pieces: Sequence[Piece], run: Run, folds: int
) -> Cuts:
    """Find the same blocks as `experiments.reward_models.designs.time_folds` does in memory.

    The instant of a rank is found in its bin, and which of the decisions of that instant it is by
    counting them; three short looks at the instants alone.

    Args:
        coarse: all decisions by bins.
        reader: of the log.
        pieces: of the log.
        run: applies a function to every piece, and returns the answers in order.
        folds: B.
    """
    ranks = _ranks(int(coarse.counts.sum()), folds)
    found = [coarse.at(rank) for rank in ranks]  # the last is the middle's
    fine = _total(run(_Within(reader, tuple(sorted({value for value, _ in found}))), pieces))
    exact = []
    for rank, (value, below) in zip(ranks, found, strict=True):
        earlier = int(fine.counts[fine.values < value << _SHIFT].sum())
        at, within = fine.at(rank - below + earlier)
        exact.append((at, rank - below + earlier - within))
    middle = np.datetime64(exact[-1][0], "us")
    rows = _rows(exact[:-1], reader, pieces, run)
    return Cuts(np.array([at for at, _ in exact[:-1]], dtype=np.int64), rows, middle)


def _ranks(n: int, folds: int) -> list[int]:
    """Return the rank of the first decision of each block but the first, and of the second half."""
    sizes = [n // folds + (fold < n % folds) for fold in range(folds)]
    return [*np.cumsum(sizes)[:-1].tolist(), n // 2]


def _rows(
    wanted: Sequence[tuple[int, int]], reader: Reader, pieces: Sequence[Piece], run: Run
) -> Ints:
    """Return the row number of the k-th decision of an instant, for some (instant, k)."""
    ties = list(run(_Within(reader, tuple(sorted({at for at, _ in wanted})), shift=0), pieces))
    numbers = []
    for at, k in wanted:
        ends = np.cumsum([int(each.counts[each.values == at].sum()) for each in ties])
        place = int(np.searchsorted(ends, k, side="right"))
        before = int(ends[place - 1]) if place else 0
        numbers.append(_row(reader, pieces[place], at, k - before))
    return np.array(numbers, dtype=np.int64)


def _row(reader: Reader, piece: Piece, at: int, k: int) -> int:
    for found, rows in _kept(reader, piece):
        own = rows[found == at]
        if k < len(own):
            return int(own[k])
        k -= len(own)
    raise LogError(f"{piece.file.name}: the file changed while it was read; begin again")


def _total(parts: Iterable[Counted]) -> Counted:
    total = Counted(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    for part in parts:
        total = total + part
    return total


@dataclass(frozen=True)
class _Within:
    """Counts the instants of a piece that fall into some bins."""

    reader: Reader
    wanted: tuple[int, ...]
    shift: int = _SHIFT

    def __call__(self, piece: Piece) -> Counted:
        return _total(
            Counted.of(at[np.isin(at >> self.shift, self.wanted)])
            for at, _ in _kept(self.reader, piece)
        )


def _kept(reader: Reader, piece: Piece) -> Iterable[tuple[Ints, Ints]]:
    """Yield the instants and row numbers of the decisions that count, some at a time."""
    noted = reader.noted(piece)
    if noted is not None:
        yield noted
        return
    for batch in reader.batches(piece, WHEN):
        yield when(batch, reader.kept(batch))


def when(batch: Batch, kept: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return the instants and row numbers of the rows of a batch that count."""
    return microseconds(instants(batch.table, "at"))[kept], row_numbers(batch)[kept]
