"""Tables from anywhere, some thousand rows at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from agents.errors import LogError
from experiments.logs.importers.columns import Columns
from experiments.logs.importers.text import csv_kinds, open_text

_ROWS = 20_000


class Frame(Protocol):
    """A table of Arrow, pandas, Polars or whatever else hands its columns over as Arrow's."""

    def __arrow_c_stream__(self, requested_schema: object = None, /) -> object:
        """Hand the table over."""


Source = Path | Frame


def source_name(source: Source, number: int) -> str:
    """Name a source in messages: a file's name, or `table` and its number.

    Example:
        >>> source_name(Path("logs/june.csv"), 0), source_name(pa.table({}), 1)
        ('june.csv', 'table 1')
    """
    return source.name if isinstance(source, Path) else f"table {number}"


def source_batches(
    source: Source, columns: Columns, *, only: Sequence[str] = ()
) -> Iterator[pa.Table]:
    """Read a source in pieces.

    Args:
        source: a file, told by the ending of its name, a table of Arrow or pandas.
        columns: what its columns mean, so that a CSV's are read as what they are.
        only: the columns to read, where that saves anything.

    Raises:
        LogError: it cannot be read.
    """
    if not isinstance(source, Path):
        yield from _slices(pa.table(source))
    else:
        try:
            yield from _file(source, columns, only)
        except (OSError, pa.ArrowException) as error:
            if isinstance(error, OSError) and error.errno:
                why = os.strerror(error.errno)
                raise LogError(f"{source} cannot be read: {why}; expected a table") from None
            raise LogError(f"{source}: expected a table: {error}") from None


def _file(file: Path, columns: Columns, only: Sequence[str]) -> Iterator[pa.Table]:
    match file.suffix.lower():
        case ".csv":
            yield from _csv(file, columns, ",")
        case ".tsv":
            yield from _csv(file, columns, "\t")
        case ".parquet":
            with pq.ParquetFile(file) as stream:
                chosen = [name for name in only if name in stream.schema_arrow.names]
                for batch in stream.iter_batches(_ROWS, columns=chosen or None):
                    yield pa.Table.from_batches([batch])
        case ".arrow" | ".feather" | ".ipc":
            with pa.memory_map(str(file)) as stream, pa.ipc.open_file(stream) as reader:
                for number in range(reader.num_record_batches):
                    yield from _slices(pa.Table.from_batches([reader.get_batch(number)]))
        case other:
            known = ".csv, .tsv, .parquet, .arrow, .feather or .ipc"
            raise LogError(f"{file.name}: expected a file that ends in {known}, got {other!r}")


def _csv(file: Path, columns: Columns, delimiter: str) -> Iterator[pa.Table]:
    kinds = csv_kinds(file, columns, delimiter)
    texts = [name for name, kind in kinds.items() if kind == pa.string()]
    for batch in open_text(file, delimiter, kinds):
        table = pa.Table.from_batches([batch])
        for name in texts:  # an empty cell holds nothing
            place, column = table.schema.get_field_index(name), table[name]
            filled = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
            table = table.set_column(place, name, filled)
        yield table


def _slices(table: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, table.num_rows, _ROWS):
        yield table.slice(start, _ROWS)
