"""Customers as columns: an Arrow table checked against the customer schema.

The meaning is that of `agents.context.check_features`, row by row: a null or a column that is not
there is unknown, and what would be refused there is refused here in the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from agents.context import FeatureValue, check_customer, check_features
from agents.errors import ContextError
from agents.spec import CustomerField
from agents.tabular.keys import Codes, Key, of_values

Kind = Literal["bool", "int", "double", "time", "word"]
Word = str | tuple[str, ...]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST, _LAST = (
    (datetime(year, 1, 1, tzinfo=UTC) - EPOCH) // _MICROSECOND for year in (1901, 2999)
)


class _RefusedError(Exception):
    """Some row of a column may have to be refused; the row by row check says which, and why."""


@dataclass(frozen=True, slots=True)
class Column:
    """One field of N customers.

    Args:
        kind: how the values are held.
        data: (N,) truths, whole numbers, doubles, microseconds since 1970, or, for words, the
            position of each row's value among `words`.
        known: (N,) whether the row has a value; `data` means nothing where it has not.
        words: the distinct texts, or sets of texts, of the batch.
    """

    kind: Kind
    data: Codes | NDArray[np.float64] | NDArray[np.bool_]
    known: NDArray[np.bool_]
    words: tuple[Word, ...] = ()

    def value(self, row: int) -> FeatureValue | None:
        """Return one row's value as `check_features` would, None if it is unknown."""
        if not self.known[row]:
            return None
        value: int | float | bool = self.data[row].item()
        if self.kind == "word":
            return self.words[int(value)]
        return instant_of(int(value)) if self.kind == "time" else value

    def part(self, rows: slice | Codes) -> Column:
        """Return some rows of the field."""
        return Column(self.kind, self.data[rows], self.known[rows], self.words)

    def key(self) -> Key:
        """Rows with the same value are alike, and those without one."""
        if self.kind in ("bool", "word"):
            size = 2 if self.kind == "bool" else len(self.words)
            return Key(np.where(self.known, self.data.astype(np.int64) + 1, 0), size + 1)
        found = of_values(cast("NDArray[np.float64]", self.data))
        return Key(np.where(self.known, found.codes + 1, 0), found.size + 1)


def microseconds(instant: datetime) -> int:
    """Return an instant as microseconds since 1970."""
    return (instant - EPOCH) // _MICROSECOND


def span_of(span: timedelta) -> int:
    """Return a span of time in microseconds."""
    return span // _MICROSECOND


def instant_of(at: int) -> datetime:
    """Return microseconds since 1970 as an instant (UTC)."""
    return EPOCH + at * _MICROSECOND


def read_customers(array: pa.Array, first_row: int) -> list[str]:
    """Check the customers' identifiers.

    Args:
        array: of text.
        first_row: the number of the first one's row, for messages.

    Raises:
        ContextError: one is missing or could not be stored or shown.
    """
    customers: list[str | None] = array.to_pylist()
    for row, customer in enumerate(customers):
        if not customer or len(customer) > 256 or not customer.isprintable():
            try:
                check_customer(customer or "")
            except ContextError as error:
                raise ContextError(f"row {first_row + row}: {error}") from None
    return cast("list[str]", customers)


def read_columns(
    schema: Mapping[str, CustomerField], table: pa.Table, first_row: int
) -> dict[str, Column]:
    """Check the fields of one batch.

    Args:
        schema: the declared fields.
        table: columns named after fields, and `customer`.
        first_row: the number of the batch's first row, for messages.

    Raises:
        ContextError: as `check_features`, with the number of the row before it.
    """
    count = table.num_rows
    columns = {name: _unknown(field, count) for name, field in schema.items()}
    try:
        for name in table.column_names:
            if name != "customer":
                array = table.column(name).combine_chunks()
                columns[name] = _column(name, schema[name], array)
        for name, field in schema.items():
            if field.required and not columns[name].known.all():
                raise _RefusedError(name)
    except (_RefusedError, KeyError, pa.ArrowInvalid):
        _refuse(schema, table, first_row)
    return columns


def _refuse(schema: Mapping[str, CustomerField], table: pa.Table, first_row: int) -> None:
    """Check row by row, in Python, until the first row that is refused."""
    for row, record in enumerate(table.to_pylist()):
        del record["customer"]
        try:
            check_features(schema, record)
        except ContextError as error:
            raise ContextError(f"row {first_row + row}: {error}") from None
    raise ContextError(
        f"rows {first_row} to {first_row + table.num_rows - 1}: expected columns of plain booleans,"
        f" numbers, text, lists or instants, got {table.schema.to_string()}"
    )


_KINDS: dict[str, Kind] = {
    "boolean": "bool", "integer": "int", "number": "double", "instant": "time",
}  # fmt: skip
_TYPES = {"bool": np.bool_, "double": np.float64}


def _unknown(field: CustomerField, count: int) -> Column:
    kind = _KINDS.get(field.type, "word")
    data: Codes = np.zeros(count, dtype=_TYPES.get(kind, np.int64))
    words = ("",) if kind == "word" else ()
    return Column(kind, data, np.zeros(count, dtype=bool), words)


def _column(name: str, field: CustomerField, array: pa.Array) -> Column:
    known = array.is_valid().to_numpy(zero_copy_only=False)
    if not known.any():
        return _unknown(field, len(array))
    kind = array.type
    if field.type == "boolean" and pa.types.is_boolean(kind):
        return Column("bool", array.fill_null(False).to_numpy(zero_copy_only=False), known)
    if field.type in ("integer", "number"):
        return _numbers(field, array, known)
    if field.type == "instant" and pa.types.is_timestamp(kind) and kind.tz is not None:
        return _instants(array, known)
    if field.type != "boolean":
        return _words(name, field, array, known)
    raise _RefusedError(name)


def _filled(array: pa.Array, kind: pa.DataType) -> Codes:
    values: Codes = array.cast(kind).fill_null(0).to_numpy(zero_copy_only=False)
    return values


def _numbers(field: CustomerField, array: pa.Array, known: NDArray[np.bool_]) -> Column:
    whole = pa.types.is_integer(array.type)
    if not whole and (field.type == "integer" or not pa.types.is_floating(array.type)):
        raise _RefusedError
    data = _filled(array, pa.int64() if whole else pa.float64())
    low = -1e15 if field.min is None else field.min
    high = 1e15 if field.max is None else field.max
    if not np.all(((data >= low) & (data <= high)) | ~known):
        raise _RefusedError  # not finite is not within them either
    if field.type == "integer":
        return Column("int", data, known)
    return Column("double", data.astype(np.float64), known)


def _instants(array: pa.Array, known: NDArray[np.bool_]) -> Column:
    data = _filled(array.cast(pa.timestamp("us", "UTC")), pa.int64())
    if not np.all(((data >= _FIRST) & (data < _LAST)) | ~known):
        raise _RefusedError
    return Column("time", data, known)


def _words(name: str, field: CustomerField, array: pa.Array, known: NDArray[np.bool_]) -> Column:
    codes, values = _distinct(array)
    checked = [_checked(name, field, value) for value in values]
    if field.type == "instant":
        times = np.array([microseconds(cast("datetime", v)) for v in checked], dtype=np.int64)
        return Column("time", times[codes], known)
    words = tuple(dict.fromkeys(cast("list[Word]", checked)))
    place = {word: index for index, word in enumerate(words)}
    renumber = np.array([place[cast("Word", word)] for word in checked], dtype=np.int64)
    return Column("word", renumber[codes], known, words)


def _checked(name: str, field: CustomerField, value: object) -> FeatureValue:
    lone = field.model_copy(update={"required": False})
    try:
        return check_features({name: lone}, {name: value})[name]
    except (ContextError, KeyError):
        raise _RefusedError(name) from None


def _distinct(array: pa.Array) -> tuple[Codes, list[object]]:
    """Return each row's position among the distinct values (0 for null), and the values."""
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        array = array.dictionary_encode()
    if pa.types.is_dictionary(array.type):
        codes = pc.fill_null(array.indices.cast(pa.int64()), 0)
        used, codes = np.unique(codes.to_numpy(zero_copy_only=False), return_inverse=True)
        return codes.astype(np.int64), array.dictionary.take(pa.array(used)).to_pylist()
    if not pa.types.is_list(kind) or pa.types.is_nested(kind.value_type):
        raise _RefusedError
    rows = [None if row is None else tuple(row) for row in array.to_pylist()]
    place: dict[object, int] = {}
    found = [0 if row is None else place.setdefault(row, len(place)) for row in rows]
    return np.array(found, dtype=np.int64), list(place)
