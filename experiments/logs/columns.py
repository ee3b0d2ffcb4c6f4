"""Columns of a log: with the types of its schema, and as arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from agents.errors import LogError, did_you_mean
from agents.log import LATER, SCHEMA
from experiments.logs.contexts import joined
from experiments.logs.origin import Origin

REPEATED = ("agent", "revision", "policy", "snapshot", "group", "action")
"""Text of which a log has few different values: read as codes."""

RESERVED = "reserved"
"""The state of a contact that nobody has confirmed yet, nor given back."""

CODED = (*REPEATED, "actions.list.element", "mask.list.element")
"""What `pyarrow.parquet` is asked to leave as codes, by path."""


def typed_table(
    table: pa.Table, origin: Origin, names: Sequence[str] = tuple(SCHEMA.names)
) -> pa.Table:
    """Return columns of a table with the types of the log's schema; codes of text stay codes.

    Args:
        table: rows of one file or several.
        origin: where they are from.
        names: columns that are wanted.

    Raises:
        LogError: a column is missing, of another type, or null where a value is required.
    """
    columns = [_typed(table, SCHEMA.field(name), origin) for name in names]
    fields = [
        SCHEMA.field(name).with_type(column.type)
        for name, column in zip(names, columns, strict=True)
    ]
    return pa.table(columns, schema=pa.schema(fields))


def _typed(table: pa.Table, field: pa.Field, origin: Origin) -> pa.ChunkedArray:
    if field.name in LATER and field.name not in table.column_names:
        return pa.chunked_array([pa.nulls(table.num_rows, field.type)])
    file = origin.files[0]
    if field.name not in table.column_names:
        hint = did_you_mean(field.name, table.column_names)
        raise LogError(f"{file}: expected a column {field.name!r}, got none; {hint}")
    column = table[field.name]
    if not field.nullable and column.null_count:
        row = int(np.argmax(bools(column.is_null())))
        raise LogError(f"{origin.place(row)}: {field.name}: expected a value, got null")
    if _plain_type(column.type) == field.type:
        return column
    try:
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        message = f"{file}: {field.name}: expected {field.type}, got {column.type} ({error})"
        raise LogError(message) from None


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """Return a type without codes, as the schema has it."""
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_list(kind) and pa.types.is_dictionary(kind.value_type):
        return pa.list_(kind.value_type.value_type)
    return kind


def texts(table: pa.Table, name: str) -> NDArray[np.object_]:
    """Return a column of text; (N,)."""
    column = joined(table[name])
    if not pa.types.is_dictionary(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.object_)
    values = np.empty(len(column.dictionary) + 1, dtype=np.object_)  # the last is for null
    values[:-1] = column.dictionary.to_pylist()
    return np.asarray(values[np.asarray(column.indices.fill_null(len(values) - 1))])


def codes(items: pa.Array) -> tuple[list[str | None], NDArray[np.int64]]:
    """Return the different values of a text, and the number of each item's; null is -1."""
    if not pa.types.is_dictionary(items.type):
        items = items.dictionary_encode()
    numbers = np.asarray(items.indices.fill_null(-1), dtype=np.int64)
    return items.dictionary.to_pylist(), numbers


def instants(table: pa.Table, name: str) -> NDArray[np.datetime64]:
    """Return a column of instants, NaT where null; (N,)."""
    return np.array(joined(table[name]).cast(pa.timestamp("us")), dtype="datetime64[us]")


def floats(column: pa.Array | pa.ChunkedArray) -> NDArray[np.float64]:
    """Return numbers, NaN where null."""
    return np.array(column, dtype=np.float64)


def bools(column: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return booleans; none may be null."""
    return np.array(column, dtype=np.bool_)


def closed_rows(table: pa.Table) -> NDArray[np.bool_]:
    """Say which rows are closed: windows have ended, and no contact is still only reserved; (N,).

    A contact that was never confirmed stays reserved until the server finds time to expire it:
    until then nobody knows that it was not made.

    Args:
        table: with `closed_at` and `state`.
    """
    reserved = pc.fill_null(pc.equal(table["state"], RESERVED), False)
    return bools(table["closed_at"].is_valid()) & ~bools(reserved)
