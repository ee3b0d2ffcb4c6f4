"""A log that is read a piece at a time, in memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from agents.errors import LogError
from experiments.logs import log_files
from experiments.logs.columns import CODED, typed_table
from experiments.logs.contexts import Late, joined
from experiments.logs.origin import Origin

COLUMNS = (
    "decision_id", "at", "agent", "revision", "policy", "snapshot", "group", "customer",
    "actions", "mask", "distribution", "action", "propensity", "outcomes", "reward", "closed_at",
    "state", "given_back", "kept",
)  # fmt: skip
"""What a valuation looks at, beside contexts; other columns are not read."""

_BUFFER = 1 << 20  # bytes of a column that are read from the file at once


@dataclass(frozen=True)
class Piece:
    """A row group of a file, or several small ones: what is read in one go, in batches.

    Args:
        file: where it is.
        group: the number of its first row group in the file.
        groups: how many row groups it has.
        start: number of its first row in the file.
        offset: number of its first row among the rows of all files.
    """

    file: Path
    group: int
    groups: int
    start: int
    offset: int


@dataclass(frozen=True)
class Batch:
    """Some rows of a piece.

    Args:
        table: with the types of the log's schema.
        origin: where its rows are from.
        piece: of which it is a part.
        start: number of its first row in the file, whether or not that is among the rows.
        texts: reads the contexts' JSON of all its rows, from `start` on; the table has none.
    """

    table: pa.Table
    origin: Origin
    piece: Piece
    start: int
    texts: Callable[[], pa.Array]

    @property
    def contexts(self) -> Late:
        """The contexts' JSON of the batch's rows, read when it is asked for."""
        return Late(self.texts, self.origin.rows - self.start)

    @property
    def key(self) -> str:
        """A name that no other batch of the log has."""
        return f"{self.piece.offset}-{self.start}"


def pieces_of(path: Path, rows: int = 1) -> tuple[Piece, ...]:
    """List the pieces of a log in order, and check the columns of its files.

    Each piece costs as much again as some thousand rows, so small row groups are read together.

    Args:
        path: of the log.
        rows: neighbouring row groups are one piece as long as it has at most so many rows.

    Raises:
        LogError: the path holds no log, or a file lacks a column or has another type.
    """
    pieces: list[Piece] = []
    offset = 0
    for file in log_files(path):
        found = _open(file)
        empty = found.schema_arrow.empty_table()
        typed_table(empty, Origin.of({file.name: 0}))
        metadata, start = found.metadata, 0
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        for group, groups in _together(sizes, rows):
            size = sum(sizes[group : group + groups])
            if size:
                pieces.append(Piece(file, group, groups, start, offset))
            start, offset = start + size, offset + size
    return tuple(pieces)


def _together(sizes: Sequence[int], rows: int) -> Iterator[tuple[int, int]]:
    """Yield the first row group of each piece and how many it has, from the rows of each group.

    Example:
        >>> list(_together([9, 1, 1, 1, 5], 3))
        [(0, 1), (1, 3), (4, 1)]
    """
    first, total = 0, 0
    for group, size in enumerate(sizes):
        if group > first and total + size > rows:
            yield first, group - first
            first, total = group, 0
        total += size
    if sizes:
        yield first, len(sizes) - first


def rows_of(path: Path) -> int:
    """Count the rows of a log without reading them.

    Raises:
        LogError: the path holds no log.
    """
    return sum(_open(file).metadata.num_rows for file in log_files(path))


def batches(piece: Piece, rows: int, columns: Sequence[str] = COLUMNS) -> Iterator[Batch]:
    """Read a piece in order, so many rows at a time; contexts only where they are asked for.

    Raises:
        LogError: a value that must be there is null, or the file is damaged.
    """
    start, texts = piece.start, _Texts(piece, rows)
    try:
        for found in _tables(piece, rows, list(columns)):
            numbers = np.arange(start, start + found.num_rows)
            origin = Origin((piece.file.name,), np.zeros(1, dtype=np.int64), numbers)
            table = typed_table(found, origin, columns)
            yield Batch(table, origin, piece, start, partial(texts.at, start))
            start += found.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise LogError(f"{piece.file.name}: expected a Parquet file: {error}") from None


class _Texts:
    """The contexts of a piece, which is read once more if they are asked for in order.

    Args:
        piece: of the log.
        rows: of a batch.
    """

    def __init__(self, piece: Piece, rows: int) -> None:
        self._piece, self._rows = piece, rows
        self._rest: Iterator[Batch] = iter(())
        self._held: Batch | None = None

    def at(self, start: int) -> pa.Array:
        """Return the JSON of the batch that begins at a row."""
        if self._held is None or self._held.start > start:
            self._rest = batches(self._piece, self._rows, ("context",))
            self._held = next(self._rest)
        while self._held.start < start:
            self._held = next(self._rest)
        return joined(self._held.table["context"])


def _tables(piece: Piece, rows: int, columns: list[str]) -> Iterator[pa.Table]:
    """Yield at most so many rows of a piece at a time; small row groups all at once."""
    file = _open(piece.file)
    if piece.groups > 1:
        groups = range(piece.group, piece.group + piece.groups)
        tables = [file.read_row_group(group, columns, use_threads=False) for group in groups]
        yield pa.concat_tables(tables).unify_dictionaries()
        return
    found = file.iter_batches(rows, row_groups=[piece.group], columns=columns, use_threads=False)
    yield from (pa.Table.from_batches([batch]) for batch in found)


def _open(file: Path) -> pq.ParquetFile:
    try:
        found = file.stat()
        known, coded = _described(_Version(file, found.st_size, found.st_mtime_ns))
        return pq.ParquetFile(
            file, metadata=known, read_dictionary=coded, pre_buffer=False, buffer_size=_BUFFER
        )
    except (pa.ArrowInvalid, OSError) as error:
        message = f"{file.name}: expected a Parquet file of the decision log: {error}"
        raise LogError(message) from None


class _Version(NamedTuple):
    """A file as it is now; another of its name has another size or was changed later."""

    file: Path
    size: int
    changed: int


@lru_cache(maxsize=1)  # one file after the other, but each many times
def _described(version: _Version) -> tuple[pq.FileMetaData, tuple[str, ...]]:
    """Read what a file says of itself, and which of its columns are read as codes."""
    known = pq.read_metadata(version.file)
    # not `known.schema`: each refers to the other, and megabytes would wait for a collection
    names = pq.ParquetFile(version.file, metadata=known).schema_arrow.names
    return known, tuple(name for name in CODED if name.partition(".")[0] in names)
