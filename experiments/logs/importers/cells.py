"""Columns of any table as the arrays a log is made of; what does not fit is named by row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NoReturn

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.types as kinds
from numpy.typing import NDArray

from agents.errors import LogError, did_you_mean
from agents.log import SCHEMA

INSTANT = SCHEMA.field("at").type
_EARLIEST, _LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
_EMPTY = frozenset({"", "na", "n/a", "nan", "null"})
_ARROW = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError)
_TRUE = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True, slots=True)
class Cells:
    """Some rows of a table, and where they stand.

    Args:
        table: as it was read.
        file: its name, for messages.
        first: number of its first row.
    """

    table: pa.Table
    file: str
    first: int

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str) -> pa.Array:
        """Return a column.

        Raises:
            LogError: there is none of this name.
        """
        if name not in self.table.column_names:
            hint = did_you_mean(name, self.table.column_names)
            raise LogError(f"{self.file}: expected a column {name!r}, got none; {hint}")
        if self.table.column_names.count(name) > 1:
            raise LogError(f"{self.file}: expected one column {name!r}, got several of that name")
        found = self.table[name].combine_chunks()
        found = found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)
        return found.dictionary_decode() if kinds.is_dictionary(found.type) else found

    def refuse(self, row: int, name: str, expected: str, got: object) -> NoReturn:
        """Raise a LogError about one cell."""
        raise LogError(
            f"{self.file}, row {self.first + row}: {name}: expected {expected}, got {got!r:.60}"
        )

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column of numbers; (N,), an empty cell is NaN, to be found later."""
        column = self.column(name)
        if kinds.is_boolean(column.type):
            column = column.cast(pa.int8())
        try:
            return np.array(column.cast(pa.float64()), dtype=np.float64)
        except _ARROW:
            return np.array([self._number(i, name, x) for i, x in enumerate(column.to_pylist())])

    def texts(self, name: str) -> pa.Array:
        """Return a column as text without gaps; (N,)."""
        column = self.column(name)
        if column.null_count:
            row = int(np.argmax(np.asarray(column.is_null())))
            self.refuse(row, name, "a value", None)
        return self._as_text(column, name)

    def _as_text(self, column: pa.Array, name: str) -> pa.Array:
        try:
            return column.cast(pa.string())
        except _ARROW:
            for row, value in enumerate(column.to_pylist()):
                if not (value is None or (isinstance(value, bytes) and _is_utf8(value))):
                    self.refuse(row, name, "text in UTF-8", value)
            raise LogError(f"{self.file}: {name}: expected text, got {column.type}") from None

    def items(self, lists: pa.Array, name: str, kind: pa.DataType) -> pa.Array:
        """Return the items of a column of lists, one after the other, as texts or numbers."""
        if kinds.is_string(kind) and lists.flatten().null_count:
            rows = (row for row, each in enumerate(lists.to_pylist()) if None in each)
            self.refuse(next(rows), name, "a list without gaps", None)
        try:
            return lists.flatten().cast(kind)
        except _ARROW:
            wanted = "text" if kinds.is_string(kind) else "numbers"
            got = lists.type.value_type
            raise LogError(f"{self.file}: {name}: expected lists of {wanted}, got {got}") from None

    def instants(self, name: str) -> pa.Array:
        """Return a column of instants, UTC where they have no zone; (N,)."""
        column = self.column(name)
        if kinds.is_integer(column.type) or kinds.is_floating(column.type):
            raise LogError(
                f"{self.file}: {name}: expected instants such as 2026-03-01T12:00:00Z, got numbers;"
                " turn them into instants first, as seconds and milliseconds look alike"
            )
        try:
            found = _instants(column)
        except _ARROW:
            values = enumerate(self._plain_values(column, name))
            found = pa.array([self._instant(row, name, value) for row, value in values], INSTANT)
        us = np.asarray(found.cast(pa.int64()).fill_null(0))
        far = np.flatnonzero((us < _microseconds(_EARLIEST)) | (us > _microseconds(_LATEST)))
        if len(far):
            self.refuse(int(far[0]), name, "an instant of the years 1 to 9999", int(us[far[0]]))
        return found

    def _plain_values(self, column: pa.Array, name: str) -> list[Any]:
        try:
            return list(column.to_pylist())
        except (pa.ArrowException, OverflowError, ValueError) as error:
            raise LogError(
                f"{self.file}: {name}: a value of {column.type} cannot be read: {error}"
            ) from None

    def lists(self, name: str) -> pa.Array:
        """Return a column of lists; text is read as JSON, for CSV has no lists; (N,)."""
        column = self.column(name)
        if kinds.is_string(column.type) or kinds.is_large_string(column.type):
            read = [self._json(row, name, text) for row, text in enumerate(column.to_pylist())]
            try:
                column = pa.array(read)
            except (*_ARROW, OverflowError) as error:
                raise LogError(
                    f"{self.file}: {name}: expected lists of one kind: {error}"
                ) from None
        if kinds.is_large_list(column.type) or kinds.is_fixed_size_list(column.type):
            column = column.cast(pa.list_(column.type.value_type))
        if not kinds.is_list(column.type):
            raise LogError(f"{self.file}: {name}: expected lists, got {column.type}")
        if column.null_count:
            self.refuse(int(np.argmax(np.asarray(column.is_null()))), name, "a list", None)
        return column

    def booleans(self, name: str) -> NDArray[np.bool_]:
        """Return a column of true and false, or 1 and 0; (N,), an empty cell is false."""
        column = self.column(name).to_pylist()
        return np.array([self._boolean(row, name, value) for row, value in enumerate(column)])

    def features(self, names: list[str]) -> list[dict[str, Any]]:
        """Return the rows of some columns as plain values for JSON."""
        columns = []
        for name in names:
            column = self.column(name)
            if kinds.is_binary(column.type) or kinds.is_large_binary(column.type):
                column = self._as_text(column, name)
            columns.append([_plain(value) for value in self._plain_values(column, name)])
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def _number(self, row: int, name: str, value: Any) -> float:
        if value is None or (isinstance(value, str) and value.strip().lower() in _EMPTY):
            return math.nan
        if isinstance(value, str) and "_" in value:  # which Python's own numbers may have
            self.refuse(row, name, "a number", value)
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            self.refuse(row, name, "a number", value)

    def _instant(self, row: int, name: str, value: object) -> datetime | None:
        if value is None:
            return None
        try:
            found = datetime.fromisoformat(str(value))
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, OverflowError):
            self.refuse(row, name, "an instant such as 2026-03-01T12:00:00Z", value)

    def _json(self, row: int, name: str, text: str | None) -> list[Any]:
        try:
            found = orjson.loads(text or "")
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, list):
            self.refuse(row, name, "a list, written as JSON", text)
        return found

    def _boolean(self, row: int, name: str, value: object) -> bool:
        found = _TRUE.get("false" if value is None else str(value).lower())
        if found is None:
            self.refuse(row, name, "true or false", value)
        return found


def _instants(column: pa.Array) -> pa.Array:
    """Cast to UTC instants; text without a zone, and stamps without one, are UTC."""
    finer = kinds.is_timestamp(column.type) and column.type.unit == "ns"  # is cut
    if kinds.is_timestamp(column.type) and column.type.tz is not None:
        return column.cast(INSTANT, safe=not finer)
    if kinds.is_string(column.type) or kinds.is_large_string(column.type):
        try:
            return column.cast(INSTANT)
        except pa.ArrowInvalid:
            return column.cast(pa.timestamp("us")).cast(INSTANT)
    return column.cast(pa.timestamp("us"), safe=not finer).cast(INSTANT)


def _microseconds(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _plain(value: Any) -> Any:
    """Return a value as a context of the log holds it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date):  # a datetime is one too
        whole = (
            value if isinstance(value, datetime) else datetime(*value.timetuple()[:3], tzinfo=UTC)
        )
        return {"instant": (whole if whole.tzinfo else whole.replace(tzinfo=UTC)).isoformat()}
    if isinstance(value, (list, Mapping)):
        return [str(each) for each in value]
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
