"""Decision ids that occur twice in a log too large to remember them all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.logs.columns import texts
from experiments.logs.contexts import joined
from experiments.streaming.hashes import hashes
from experiments.streaming.reading import Reader
from experiments.streaming.source import Batch, Piece

_PARTS = 64

_IDS = ("decision_id", "agent")


def ids_of(batch: Batch) -> NDArray[np.uint64]:
    """Return a number for the id of each row; (n,)."""
    return hashes(joined(batch.table["decision_id"]))


class Repeats:
    """Gathers the numbers of all ids in files, and looks at a sixty-fourth of them at a time.

    Args:
        folder: for the files; eight bytes an id.
    """

    def __init__(self, folder: Path) -> None:
        self._files = [folder / f"{part}.ids" for part in range(_PARTS)]

    def add(self, numbers: NDArray[np.uint64]) -> None:
        """Remember the ids of some rows."""
        part = (numbers % np.uint64(_PARTS)).astype(np.uint8)  # small, which sorts by radix
        order = np.argsort(part, kind="stable")
        ends = np.cumsum(np.bincount(part, minlength=_PARTS))[:-1]
        for file, own in zip(self._files, np.split(numbers[order], ends), strict=True):
            with file.open("ab") as stream:
                stream.write(own.tobytes())

    def refuse(self, reader: Reader, pieces: Sequence[Piece]) -> None:
        """Look for ids that occur twice.

        Raises:
            LogError: names the first row whose id an earlier one has.
        """
        found = [_twice(np.fromfile(file, dtype=np.uint64)) for file in self._files]
        suspects = np.concatenate(found)
        if not len(suspects):
            return
        seen: set[str] = set()
        for piece in pieces:
            for batch in reader.batches(piece, _IDS):
                _look(batch, suspects, seen)


def _twice(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    numbers.sort()
    return np.asarray(numbers[1:][numbers[1:] == numbers[:-1]])


def _look(batch: Batch, suspects: NDArray[np.uint64], seen: set[str]) -> None:
    """Compare the ids themselves, of those whose numbers occur twice."""
    rows = np.flatnonzero(np.isin(ids_of(batch), suspects))
    names = texts(batch.table, "decision_id")
    for row in rows.tolist():
        if names[row] in seen:
            batch.origin.refuse(row, "decision_id", "an id that no earlier row has", names[row])
        seen.add(names[row])
