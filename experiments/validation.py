"""The checks a decision log passes before it becomes arrays; each refusal names the row."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NoReturn

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from agents.actions import NONE_ID
from agents.errors import LogError, did_you_mean
from agents.groups import Group
from agents.log import SCHEMA

_CONTEXT = {"features", "contacts", "events", "usage", "placement", "channels", "suppressed"}
_SLACK = 1e-9  # a sum of some hundred float64 is exact to about 1e-14; imported logs are rounder


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the rows of a gathered table came from, so that an error can name the place.

    Args:
        files: names of the files.
        starts: (F,) number of rows in all files before each.
        rows: (N,) for each row of the table, its number among the rows of all files.

    Example:
        >>> Origin(("a", "b"), np.array([0, 3]), np.array([1, 4])).place(1)
        'b, row 1'
    """

    files: tuple[str, ...]
    starts: NDArray[np.int64]
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, sizes: dict[str, int]) -> Origin:
        """Number the rows of files, given how many rows each has."""
        starts = np.cumsum([0, *sizes.values()], dtype=np.int64)  # (F + 1,)
        return cls(tuple(sizes), starts[:-1], np.arange(starts[-1]))

    def keep(self, chosen: NDArray[np.bool_]) -> Origin:
        """Follow a selection of rows."""
        return Origin(self.files, self.starts, self.rows[chosen])

    def place(self, row: int) -> str:
        """Name the file and the row in it, counted from 0."""
        number = self.rows[row]
        file = int(np.searchsorted(self.starts, number, side="right")) - 1
        return f"{self.files[file]}, row {number - self.starts[file]}"

    def refuse(self, row: int, column: str, expected: str, got: object) -> NoReturn:
        """Raise a LogError about one value."""
        raise LogError(f"{self.place(row)}: {column}: expected {expected}, got {got!r}")

    def require(
        self, good: NDArray[np.bool_], column: str, expected: str, values: NDArray[Any]
    ) -> None:
        """Refuse the first row that is not good; `good` and `values` are (N,)."""
        if not good.all():
            row = int(np.argmin(good))
            self.refuse(row, column, expected, values[row].item())


def typed_table(table: pa.Table, file: str) -> pa.Table:
    """Return a file's table with exactly the columns and types of the log's schema.

    Raises:
        LogError: a column is missing, of another type, or null where a value is required.
    """
    columns = []
    for field in SCHEMA:
        if field.name not in table.column_names:
            hint = did_you_mean(field.name, table.column_names)
            raise LogError(f"{file}: expected a column {field.name!r}, got none; {hint}")
        column = table[field.name]
        try:
            columns.append(column.cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            message = f"{file}: {field.name}: expected {field.type}, got {column.type} ({error})"
            raise LogError(message) from None
        if not field.nullable and column.null_count:
            row = int(np.argmax(_bools(column.is_null())))
            raise LogError(f"{file}, row {row}: {field.name}: expected a value, got null")
    return pa.table(columns, schema=SCHEMA)


@dataclass(frozen=True, slots=True)
class Dense:
    """The numbers of a log as arrays; see `LoggedDecisions`."""

    actions: tuple[str, ...]
    action: NDArray[np.int64]
    propensity: NDArray[np.float64]
    distribution: NDArray[np.float64]
    allowed: NDArray[np.bool_]
    reward: NDArray[np.float64]
    outcome_value: NDArray[np.float64]
    outcomes: NDArray[np.object_]


def dense(table: pa.Table, origin: Origin) -> Dense:
    """Check a table of the log's schema row by row and lay its lists out as (N, A) arrays.

    Raises:
        LogError: with the first row that contradicts itself, and how.
    """
    _check_names(table, origin)
    count = table.num_rows
    lengths, ids = _ragged(table, "actions", origin)
    rows = np.repeat(np.arange(count), lengths)  # (sum of lengths,)
    actions, columns = _union(ids)
    width = len(actions)
    _check_repeats(rows, columns, actions, origin)
    distribution = np.zeros((count, width))  # (N, A)
    distribution[rows, columns] = _floats(_ragged(table, "distribution", origin, lengths)[1])
    allowed = np.zeros((count, width), dtype=np.bool_)  # (N, A)
    allowed[rows, columns] = _bools(_ragged(table, "mask", origin, lengths)[1].is_null())
    _check_distribution(distribution, allowed, actions, origin)
    listed = np.zeros((count, width), dtype=np.bool_)  # (N, A)
    listed[rows, columns] = True
    action = _drawn(_texts(table, "action"), actions, listed, origin)
    propensity = _floats(table["propensity"])  # (N,)
    _check_propensity(propensity, distribution[np.arange(count), action], origin)
    reward = _floats(table["reward"])  # (N,)
    origin.require(np.isfinite(reward), "reward", "a finite amount", reward)
    return Dense(
        actions, action, propensity, distribution, allowed, reward, _outcomes(table, origin),
        _names(table),
    )  # fmt: skip


def parse_contexts(table: pa.Table, origin: Origin) -> NDArray[np.object_]:
    """Read the contexts' JSON; (N,) mappings as `agents.decisions.context_record` writes them.

    Raises:
        LogError: a context is not such JSON.
    """
    parsed = np.empty(table.num_rows, dtype=np.object_)  # (N,)
    for row, text in enumerate(table["context"].to_pylist()):
        try:
            context = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            origin.refuse(row, "context", f"JSON ({error})", text[:60])
        if not isinstance(context, dict) or context.keys() != _CONTEXT:
            expected = f"a JSON object of {', '.join(sorted(_CONTEXT))}"
            origin.refuse(row, "context", expected, text[:60])
        parsed[row] = context
    return parsed


def _check_names(table: pa.Table, origin: Origin) -> None:
    groups = _texts(table, "group")
    known = [str(group) for group in Group]
    good = np.isin(groups, known)
    origin.require(good, "group", f"one of {', '.join(known)}", groups)
    ids = _texts(table, "decision_id")
    _, first = np.unique(ids, return_index=True)
    fresh = np.zeros(len(ids), dtype=np.bool_)
    fresh[first] = True
    origin.require(fresh, "decision_id", "an id that no earlier row has", ids)


def _ragged(
    table: pa.Table, column: str, origin: Origin, expected: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], pa.Array]:
    """Return the lengths (N,) and the joined items of a list column."""
    array = table[column].combine_chunks()
    lengths = np.asarray(array.value_lengths(), dtype=np.int64)  # (N,)
    if expected is None:
        origin.require(lengths > 0, column, "at least one item", lengths)
    else:
        origin.require(lengths == expected, column, "as many items as there are actions", lengths)
    return lengths, array.flatten()


def _union(ids: pa.Array) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return all ids, `none` first and then as they first appear, and each item's column."""
    encoded = ids.dictionary_encode()
    names = [str(name) for name in encoded.dictionary.to_pylist()]
    ordered = [NONE_ID, *(name for name in names if name != NONE_ID)]
    place = {name: column for column, name in enumerate(ordered)}
    lookup = np.array([place[name] for name in names], dtype=np.int64)
    codes = np.asarray(encoded.indices, dtype=np.int64)
    return tuple(ordered), lookup[codes]


def _check_repeats(
    rows: NDArray[np.int64], columns: NDArray[np.int64], actions: tuple[str, ...], origin: Origin
) -> None:
    cells = rows * len(actions) + columns
    _, first = np.unique(cells, return_index=True)
    if len(first) < len(cells):
        repeated = np.setdiff1d(np.arange(len(cells)), first)[0]
        got = actions[columns[repeated]]
        origin.refuse(int(rows[repeated]), "actions", "each action once", got)


def _check_distribution(
    distribution: NDArray[np.float64],
    allowed: NDArray[np.bool_],
    actions: tuple[str, ...],
    origin: Origin,
) -> None:
    def check(good: NDArray[np.bool_], expected: str) -> None:
        if not good.all():
            row, column = (int(i) for i in np.argwhere(~good)[0])
            name = f"distribution[{actions[column]}]"
            origin.refuse(row, name, expected, float(distribution[row, column]))

    check(np.isfinite(distribution) & (distribution >= 0.0), "a probability")
    check(allowed | (distribution == 0.0), "0 for a barred action")
    sums = distribution.sum(axis=1)  # (N,)
    origin.require(np.abs(sums - 1.0) <= _SLACK, "distribution", "a sum of 1", sums)


def _drawn(
    drawn: NDArray[np.str_],
    actions: tuple[str, ...],
    listed: NDArray[np.bool_],
    origin: Origin,
) -> NDArray[np.int64]:
    place = {name: column for column, name in enumerate(actions)}
    column = np.array([place.get(name, -1) for name in drawn.tolist()], dtype=np.int64)  # (N,)
    good = (column >= 0) & listed[np.arange(len(column)), column]
    origin.require(good, "action", "one of the row's actions", drawn)
    return column


def _check_propensity(
    propensity: NDArray[np.float64], drawn: NDArray[np.float64], origin: Origin
) -> None:
    good = (propensity > 0.0) & (propensity <= 1.0)  # NaN is not good
    origin.require(good, "propensity", "a probability above 0", propensity)
    gap = np.abs(propensity - drawn)
    expected = "the distribution's value for the drawn action"
    origin.require(gap <= _SLACK, "propensity", expected, propensity)


def _outcomes(table: pa.Table, origin: Origin) -> NDArray[np.float64]:
    """Return the sum of each row's outcome values; (N,) currency."""
    array = table["outcomes"].combine_chunks()
    counts = np.asarray(array.value_lengths(), dtype=np.int64)  # (N,)
    owner = np.repeat(np.arange(table.num_rows), counts)  # (outcomes,)
    values = _floats(array.flatten().field("value"))  # (outcomes,)
    sums = np.bincount(owner, values, minlength=table.num_rows)  # (N,)
    origin.require(np.isfinite(sums), "outcomes", "finite values", sums)
    return np.asarray(sums, dtype=np.float64)


def _names(table: pa.Table) -> NDArray[np.object_]:
    """Return the names of each row's outcomes; (N,) tuples of text."""
    array = table["outcomes"].combine_chunks()
    ends = np.cumsum(np.asarray(array.value_lengths(), dtype=np.int64)).tolist()  # (N,)
    joined = array.flatten().field("outcome").to_pylist()
    names = np.empty(table.num_rows, dtype=np.object_)  # (N,)
    for row, (start, end) in enumerate(pairwise([0, *ends])):
        names[row] = tuple(joined[start:end])
    return names


def _texts(table: pa.Table, column: str) -> NDArray[np.str_]:
    return np.array(table[column].to_pylist(), dtype=np.str_)


def _floats(column: pa.Array | pa.ChunkedArray) -> NDArray[np.float64]:
    return np.array(column, dtype=np.float64)


def _bools(column: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.array(column, dtype=np.bool_)
