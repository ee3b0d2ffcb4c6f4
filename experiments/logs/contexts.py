"""Contexts of a log: kept as JSON and as columns of features, parsed row by row when asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, overload

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
from numpy.typing import NDArray

CONTEXT = frozenset(
    {"features", "contacts", "events", "usage", "placement", "channels", "suppressed"}
)
"""What a context's JSON holds, see `agents.decisions.context_record`."""

_SAMPLE = 64  # rows that are looked at to know which features are text
_BLOCK = 16_384  # rows parsed at once

Row = Mapping[str, Any]
Column: TypeAlias = pa.Array | list[Any]


@dataclass(frozen=True)
class Contexts:
    """N contexts; `contexts[3]` is the mapping of row 3, `contexts[chosen]` a selection.

    Args:
        texts: (N,) their JSON.
        contacts: (N,) number of recent contacts.
        table: N rows, a column for each feature; None where a feature has values of several kinds.

    Example:
        >>> Contexts.of(pa.array(['{"features":{"a":1},"contacts":[],"events":[],"usage":{},'
        ...     '"placement":"","channels":[],"suppressed":[]}']))[0]["features"]
        {'a': 1}
    """

    texts: pa.Array
    contacts: NDArray[np.int64]
    table: pa.Table | None

    @classmethod
    def of(cls, texts: pa.Array) -> Contexts | None:
        """Parse JSON column by column; None if some row is not as it should be, or too odd."""
        starts = range(0, max(len(texts), 1), _BLOCK)
        parts = [_parse(texts.slice(start, _BLOCK)) for start in starts]
        found = [part for part in parts if part is not None]
        if len(found) < len(parts):
            return None
        contacts = np.concatenate([counts for counts, _ in found])
        try:
            tables = [table for _, table in found]
            return cls(texts, contacts, pa.concat_tables(tables, promote_options="permissive"))
        except pa.ArrowTypeError:  # a feature that is a number here and text there
            return cls(texts, contacts, None)

    def __len__(self) -> int:
        return len(self.texts)

    def __iter__(self) -> Iterator[Row]:
        return (orjson.loads(text) for text in self.texts.to_pylist())

    @overload
    def __getitem__(self, rows: int | np.integer) -> Row: ...

    @overload
    def __getitem__(self, rows: NDArray[Any]) -> Contexts: ...

    def __getitem__(self, rows: int | np.integer | NDArray[Any]) -> Row | Contexts:
        if not isinstance(rows, np.ndarray):
            found: Row = orjson.loads(self.texts[int(rows)].as_py())
            return found
        chosen = pa.array(np.flatnonzero(rows) if rows.dtype == np.bool_ else rows)
        table = self.table
        if table is not None and table.num_columns:
            table = table.take(chosen)
        return Contexts(self.texts.take(chosen), self.contacts[rows], table)

    def tolist(self) -> list[Row]:
        """Return all of them as mappings."""
        return list(self)


def feature_columns(contexts: Contexts | NDArray[np.object_]) -> dict[str, Column]:
    """Return the features of N contexts by name, as Arrow arrays or lists of plain values."""
    if isinstance(contexts, Contexts) and contexts.table is not None:
        table = contexts.table
        return {name: joined(table[name]) for name in table.column_names}
    return listed_features(contexts)


def listed_features(contexts: Contexts | NDArray[np.object_]) -> dict[str, Column]:
    """Return the features of N contexts by name, as lists of plain values, None where unknown."""
    rows = [context["features"] for context in contexts]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def contact_counts(contexts: Contexts | NDArray[np.object_]) -> NDArray[np.int64]:
    """Return how many recent contacts each of N contexts has; (N,)."""
    if isinstance(contexts, Contexts):
        return contexts.contacts
    return np.array([len(context["contacts"]) for context in contexts], dtype=np.int64)


def joined(column: pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece."""
    found = column.combine_chunks()
    return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)


def _parse(texts: pa.Array) -> tuple[NDArray[np.int64], pa.Table] | None:
    """Return numbers of contacts and features, or None if only one by one can tell what is odd."""
    if not len(texts):
        return np.zeros(0, dtype=np.int64), pa.table({})
    try:
        whole = _read(texts, _declared(texts.slice(0, _SAMPLE).to_pylist()))
    except (pa.ArrowInvalid, orjson.JSONDecodeError, TypeError, KeyError, AttributeError):
        return None
    return None if whole is None or not _as_written(whole, len(texts)) else _columns(whole)


def _as_written(whole: pa.Table, rows: int) -> bool:
    """Whether all rows have all parts of a context and nothing else."""
    if set(whole.column_names) != CONTEXT or whole.num_rows != rows:
        return False
    if any(whole[name].null_count for name in CONTEXT):
        return False
    kinds = whole.schema
    objects = pa.types.is_struct(kinds.field("features").type)
    return bool(objects and pa.types.is_list(kinds.field("contacts").type))


def _columns(whole: pa.Table) -> tuple[NDArray[np.int64], pa.Table] | None:
    features = joined(whole["features"])
    columns = dict(zip(features.type.names, features.flatten(), strict=True))
    if not all(_plain(column) for column in columns.values()):
        return None
    counts = np.asarray(pc.list_value_length(joined(whole["contacts"])), dtype=np.int64)
    return counts, pa.table(columns)


def _read(texts: pa.Array, declared: dict[str, pa.DataType]) -> pa.Table | None:
    lists = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts)
    lines = pc.binary_join(lists, "\n")[0].as_buffer()
    if np.count_nonzero(np.frombuffer(lines, dtype=np.uint8) == ord("\n")) != len(texts) - 1:
        return None  # text on several lines
    for _ in range(2):
        schema = pa.schema([("features", pa.struct(list(declared.items())))])
        whole = pj.read_json(
            pa.BufferReader(lines),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(lines) + 1),
            parse_options=pj.ParseOptions(explicit_schema=schema if declared else None),
        )
        dated = _dated(whole)
        if not dated:
            return whole
        declared |= dated
    return None


def _declared(sample: Sequence[str]) -> dict[str, pa.DataType]:
    """Say which features of some rows are text or instants, which pyarrow might read as times."""
    found: dict[str, pa.DataType] = {}
    for text in sample:
        for name, value in orjson.loads(text)["features"].items():
            if isinstance(value, str):
                found[name] = pa.string()
            elif isinstance(value, dict) and value.keys() == {"instant"}:
                found[name] = pa.struct([("instant", pa.string())])
    return found


def _dated(whole: pa.Table) -> dict[str, pa.DataType]:
    """Return the features that were read as times, with the types they should have been read as."""
    if "features" not in whole.column_names or not pa.types.is_struct(whole["features"].type):
        return {}
    own = {field.name: field.type for field in whole["features"].type}
    return {name: _as_text(kind) for name, kind in own.items() if _as_text(kind) != kind}


def _as_text(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_time(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_as_text(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _as_text(field.type)) for field in kind])
    return kind


def _plain(column: pa.Array) -> bool:
    """Whether numbers are such as JSON allows; pyarrow reads NaN and Infinity too."""
    return not pa.types.is_floating(column.type) or bool(
        np.isfinite(column.fill_null(0.0).to_numpy(zero_copy_only=False)).all()
    )
