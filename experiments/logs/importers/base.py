"""What importers share: pieces of a log in its own schema, and one closed Parquet file of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from agents.errors import LogError
from agents.log import SCHEMA
from agents.supplied import Supplied
from experiments.logs.marks import marked

FILE = "decisions.parquet"
ACTIONS_FILE = "actions.json"
NEAR = 1e-5  # probabilities that other systems write are often rounded to float32
_ITEMS = 1_000_000  # actions of some rows together, at a time
_SLACK = 1e-9  # what readers allow a sum to be off
_OUTCOMES = SCHEMA.field("outcomes").type
_DEFAULTS: Mapping[str, object] = {
    "revision": "", "policy": "imported", "snapshot": "", "group": "treatment",
    "reason": "policy", "floor": 0.0, "explored": False,
}  # fmt: skip

Features = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of a log that is imported, and where they stood.

    Args:
        table: of the log's schema.
        file: name of the file that they were read from.
        rows: (N,) their numbers in that file, counted from 0.
    """

    table: pa.Table
    file: str
    rows: NDArray[np.int64]


def narrow(tables: Iterable[pa.Table], width: int) -> Iterator[pa.Table]:
    """Cut tables so that their rows have not too many actions together; leaves out empty ones.

    Args:
        tables: of rows.
        width: actions of each.
    """
    most = max(_ITEMS // max(width, 1), 1)
    for table in tables:
        for start in range(0, table.num_rows, most):
            yield table.slice(start, most)


def fill_table(count: int, columns: Mapping[str, Any]) -> pa.Table:
    """Make a table of the log's schema of what is known, and of what an imported row has otherwise.

    Args:
        count: number of rows, N.
        columns: an array of N values each, or one value for all rows; what is left out has a
            default, and `expected` is unknown everywhere.

    Example:
        >>> ids = ragged(np.array([2]), pa.array(["none", "a"]))
        >>> fill_table(1, {"actions": ids})["expected"].to_pylist()
        [[None, None]]
    """
    lengths = columns["actions"].value_lengths()
    nothing = pa.nulls(int(np.sum(np.asarray(lengths))), pa.float64())
    given = {**_DEFAULTS, "expected": ragged(np.asarray(lengths), nothing), **columns}
    arrays = [_column(given.get(field.name), field.type, count) for field in SCHEMA]
    return pa.table(arrays, names=SCHEMA.names)


def _column(value: object, kind: pa.DataType, count: int) -> pa.Array:
    if isinstance(value, pa.Array):
        return value.cast(kind)
    if value is None:
        return pa.array([None] * count, kind)  # `nulls` breaks structs whose fields are required
    return pa.repeat(pa.scalar(value, kind), count)


def ragged(lengths: NDArray[np.int64], items: pa.Array) -> pa.Array:
    """Lay items out as N lists of the given lengths.

    Example:
        >>> ragged(np.array([1, 0, 2]), pa.array([5, 6, 7])).to_pylist()
        [[5], [], [6, 7]]
    """
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), items)


def outcome_lists(
    values: NDArray[np.float64], at: pa.Array, name: str | list[str] = "reward"
) -> pa.Array:
    """Make one outcome of every value that is not 0; (N,) lists.

    Args:
        values: (N,) currency; NaN counts as a value, so that it is found and refused later.
        at: (N,) instants.
        name: of the outcome, one for all or one each.
    """
    some = values != 0.0  # (N,), true for NaN
    names = pa.array([name] * len(values) if isinstance(name, str) else name, pa.string())
    chosen = pa.array(some)
    events = pa.StructArray.from_arrays(
        [
            names.filter(chosen),
            pa.array(values[some]),
            at.cast(_OUTCOMES.value_type.field("at").type).filter(chosen),
        ],
        fields=list(_OUTCOMES.value_type),
    )
    return ragged(some.astype(np.int64), events).cast(_OUTCOMES)


def context_json(features: Features, placement: str = "", supplied: Supplied | None = None) -> str:
    """Write a context of nothing but features, as `agents.decisions.context_record` does.

    Args:
        features: by name, JSON values.
        placement: the slot of an on-site channel.
        supplied: the actions that came with the request, if they did.

    Example:
        >>> context_json({"age": 30})[:32]
        '{"features":{"age":30},"contacts'
    """
    came = {} if supplied is None else {
        "supplied": supplied.to_record(orjson.Fragment(supplied.content))
    }  # fmt: skip
    return orjson.dumps(
        {
            **came, "features": features, "contacts": [], "events": [], "usage": {},
            "placement": placement, "channels": [], "suppressed": [],
        },
        option=orjson.OPT_SERIALIZE_NUMPY,
    ).decode()  # fmt: skip


def spread(
    owner: NDArray[np.int64],
    allowed: NDArray[np.bool_],
    drawn: NDArray[np.bool_],
    propensity: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Give drawn actions their probability, and the rest evenly to the other allowed actions.

    Args:
        owner: (items,) the row of each listed action.
        allowed: (items,) whether each could be drawn.
        drawn: (items,) whether each was drawn.
        propensity: (N,) of what was drawn; what is impossible stays, and is found later.

    Returns:
        (items,) probabilities.

    Example:
        >>> yes = np.array([True, True, True])
        >>> spread(np.zeros(3, dtype=int), yes, np.array([False, True, False]), np.array([0.5]))
        array([0.25, 0.5 , 0.25])
    """
    others = allowed & ~drawn  # (items,)
    count = np.maximum(np.bincount(owner[others], minlength=len(propensity)), 1)  # (N,)
    rest = np.maximum(np.nan_to_num(1.0 - propensity), 0.0) / count  # (N,)
    return np.where(drawn, propensity[owner], np.where(others, rest[owner], 0.0))


def rounded(sums: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say which sums of probabilities are off as rounding to float32 leaves them, not float64.

    Example:
        >>> rounded(np.array([1.0, 1.0 + 1e-7, 1.01])).tolist()
        [False, True, False]
    """
    gap = np.abs(sums - 1.0)
    return np.asarray((gap > _SLACK) & (gap <= NEAR))


class Part:
    """A log's file while it is being written; see `log_file`."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer, self._schema = writer, schema
        self.kept = True

    def write(self, table: pa.Table) -> None:
        """Write some rows of the log's schema."""
        for field in SCHEMA:
            if not field.nullable and table[field.name].null_count:
                raise LogError(f"{field.name}: expected a value in every row, got null")
        self._writer.write_table(pa.table(table.columns, schema=self._schema))

    def discard(self) -> None:
        """Leave nothing behind at the end."""
        self.kept = False


@contextlib.contextmanager
def log_file(target: Path, *, whole: bool) -> Iterator[Part]:
    """Write a log into one closed file: it has its name only once it is whole and on the disk.

    If the block fails or discards the part, nothing is left, and an older file stays.

    Args:
        target: the file; an older one is replaced.
        whole: whether the distributions are known, see `full_distribution`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    file = target.with_name(f".{target.name}.part")
    schema = marked(SCHEMA, whole=whole)
    try:
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            part = Part(writer, schema)
            yield part
        if part.kept:
            _settle(file, target)
    finally:
        file.unlink(missing_ok=True)


def write_json(target: Path, content: Mapping[str, Features]) -> None:
    """Write a JSON file whole or not at all."""
    part = target.with_name(f".{target.name}.part")
    part.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
    _settle(part, target)


def read_actions(folder: Path) -> dict[str, Features]:
    """Read what an import knew of the actions themselves: features by action id; may be empty.

    Raises:
        LogError: the file is no such JSON.
    """
    file = folder / ACTIONS_FILE
    if not file.is_file():
        return {}
    try:
        found = orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise LogError(f"{file}: expected JSON of features by action: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(v, dict) for v in found.values()):
        raise LogError(f"{file}: expected an object of features by action")
    return found


def _settle(part: Path, target: Path) -> None:
    """Bring a file to the disk under its name."""
    with part.open("rb+") as stream:
        os.fsync(stream.fileno())
    part.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def joined(pieces: Iterable[Piece]) -> pa.Table:
    """Gather pieces into one table, for small logs."""
    tables = [piece.table for piece in pieces]
    if not tables:
        return SCHEMA.empty_table()
    return pa.concat_tables(tables)
