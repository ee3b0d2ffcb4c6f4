"""Lists of actions, one in each row of a log, as columns of an array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from agents.actions import NONE_ID
from agents.errors import LogError
from experiments.logs.columns import codes
from experiments.logs.contexts import joined
from experiments.logs.origin import Origin

WIDE = 1_024
"""With more actions than this a log that is read in pieces has a column for each place instead."""

MOST_COLUMNS, MOST_LISTED = 10_000, 1_000_000
"""Distinct actions of a log that may have a column for each, and of any log."""

_MOST_CELLS = 50_000_000
_DENSE, _TIMES = 8_000_000, 8  # cells of a log that may have a column for each action all the same
_MANY = 64  # times as many cells as items: counting them all takes longer than sorting the items
_IN_PIECES = (
    "only `nextbest evaluate --stream` and experiments.streaming.evaluate_stream can value it, in"
    " pieces in which a row's own list is kept alone"
)


@dataclass(frozen=True)
class Layout:
    """How the items of list columns become rows of A actions.

    Args:
        actions: (A,) ids.
        lengths: (N,) items of each row.
        columns: (items,) column of each item; or (L,) if all rows list the same L actions alike.
        even: whether they do.
        width: number of columns.
        listed: None if each action is a column; otherwise each place of a row's own list is, and
            these are the actions' numbers, -1 after the end; (N, width).
    """

    actions: tuple[str, ...]
    lengths: NDArray[np.int64]
    columns: NDArray[np.int64]
    even: bool
    width: int
    listed: NDArray[np.int64] | None = None

    def name(self, row: int, column: int) -> str:
        """Return the id of the action that a row has in a column."""
        return self.actions[column if self.listed is None else int(self.listed[row, column])]

    def spread(self, items: NDArray[Any]) -> NDArray[Any]:
        """Lay items (items,) out as (N, A); 0 or false where a row does not list an action."""
        shape = (len(self.lengths), self.width)
        if self.even and np.array_equal(self.columns, np.arange(shape[1])):
            return items.reshape(shape)
        out = np.zeros(shape, dtype=items.dtype)
        if self.even:
            out[:, self.columns] = items.reshape(shape[0], -1)
        else:
            out[np.repeat(np.arange(shape[0]), self.lengths), self.columns] = items
        return out


def action_union(items: pa.Array) -> tuple[str, ...]:
    """Return all ids of some rows' lists, `none` first and then as they first appear."""
    names, numbers = codes(items)
    return ordered(_seen(names, numbers))


def ordered(names: Sequence[str]) -> tuple[str, ...]:
    """Return each id once, `none` first and then as they first appear.

    Raises:
        LogError: there are more than `MOST_LISTED`.
    """
    found = tuple(dict.fromkeys((NONE_ID, *names)))
    if len(found) > MOST_LISTED:
        raise LogError(
            f"actions: expected at most {MOST_LISTED:,} distinct ones, got {len(found):,}, the last"
            f" {found[-1]!r}; an estimate needs each to be drawn many times"
        )
    return found


def _seen(names: Sequence[str | None], numbers: NDArray[np.int64]) -> list[str]:
    """Return the values that occur, in the order in which they first do; codes may lack any."""
    first = np.full(len(names), len(numbers))
    first[numbers[::-1]] = np.arange(len(numbers))[::-1]  # what is written last stays
    order = np.argsort(first, kind="stable")
    return [str(names[code]) for code in order if first[code] < len(numbers)]


def lay_out(
    table: pa.Table, origin: Origin, actions: Sequence[str] | None, places: int = 0
) -> Layout:
    """Say how the lists of a table's rows become rows of A actions.

    Args:
        table: rows.
        origin: where they are from.
        actions: of the whole log; None to take those of the table.
        places: 0 if each action is a column; otherwise the most that a row of the whole log lists.
            Without `actions` it is told by the table itself, see `width_of_lists`.

    Raises:
        LogError: a row lists nothing, or an action twice; or there are too many actions.
    """
    lengths = np.asarray(joined(table["actions"]).value_lengths(), dtype=np.int64)  # (N,)
    origin.require(lengths > 0, "actions", "at least one item", lengths)
    names, numbers = codes(joined(table["actions"]).flatten())
    even = len(lengths) > 0 and bool(np.all(lengths == lengths[0]))
    if even:
        rows = numbers.reshape(len(lengths), -1)  # (N, L)
        even = bool(np.all(rows == rows[0]))
        numbers = rows[0] if even else numbers
    longest = int(lengths.max(initial=0))
    if actions is None:
        union = ordered(_seen(names, numbers))
        places = width_of_lists(len(lengths), len(union), longest)
        _check_cells(len(lengths), len(union), places)
    else:
        union = tuple(actions)
    place = {name: column for column, name in enumerate(union)}
    lookup = np.array([place.get(str(name), -1) for name in names], dtype=np.int64)
    layout = Layout(union, lengths, lookup[numbers], even, len(union))
    _check_repeats(layout, origin)
    return _by_place(layout, places) if places else layout


def width_of_lists(rows: int, actions: int, longest: int) -> int:
    """Return how many columns a log has if they are places of a row's own list; 0 if actions.

    They are places where rows list few of many actions, as those that come with requests are: a
    column for each action would hold next to nothing, and fill the memory. So they are, too, where
    there are more actions than a model can have a column for.

    Args:
        rows: of the log.
        actions: distinct ones.
        longest: the most of them that a row lists.

    Example:
        >>> width_of_lists(20_000, 901, 51), width_of_lists(300, 901, 51)
        (51, 0)
        >>> width_of_lists(40, 20_000, 51)
        51
    """
    sparse = rows * actions > _DENSE and actions > _TIMES * longest
    return longest if sparse or actions > MOST_COLUMNS else 0


def _check_cells(rows: int, actions: int, places: int) -> None:
    """Refuse a log that no memory would hold, with a column for each action or long lists."""
    width = places or actions
    if width > WIDE and rows * width > _MOST_CELLS:
        raise LogError(
            f"actions: expected at most {_MOST_CELLS // width:,} rows with {width:,}"
            f" distinct ones{' each' if places else ''}, got {rows:,}; {_IN_PIECES}"
        )


def _by_place(layout: Layout, places: int) -> Layout:
    """Turn columns of actions into places of each row's own list."""
    rows = len(layout.lengths)
    numbers = np.tile(layout.columns, rows) if layout.even else layout.columns  # (items,)
    starts = np.cumsum(layout.lengths) - layout.lengths  # (N,)
    columns = np.arange(len(numbers)) - np.repeat(starts, layout.lengths)  # (items,)
    even = bool(np.all(layout.lengths == places))
    if even:
        columns = np.arange(places)
    placed = Layout(layout.actions, layout.lengths, columns, even, places)
    return replace(placed, listed=placed.spread(numbers + 1) - 1)


def list_items(
    table: pa.Table, column: str, origin: Origin, expected: NDArray[np.int64]
) -> pa.Array:
    """Return the joined items of a list column, as many in each row as `expected` (N,)."""
    array = joined(table[column])
    lengths = np.asarray(array.value_lengths(), dtype=np.int64)  # (N,)
    origin.require(lengths == expected, column, "as many items as there are actions", lengths)
    return array.flatten()


def _repeats(cells: NDArray[np.int64]) -> bool:
    """Whether a number occurs twice."""
    if cells.max(initial=0) < _MANY * len(cells):
        return int(np.bincount(cells).max(initial=0)) > 1
    return len(np.unique(cells)) < len(cells)


def _check_repeats(layout: Layout, origin: Origin) -> None:
    rows = np.repeat(np.arange(len(layout.lengths)), 1 if layout.even else layout.lengths)
    if layout.even:
        rows = np.zeros(len(layout.columns), dtype=np.int64)
    cells = rows * len(layout.actions) + layout.columns
    if not _repeats(cells):
        return
    _, first = np.unique(cells, return_index=True)
    repeated = np.setdiff1d(np.arange(len(cells)), first)[0]
    got = layout.actions[layout.columns[repeated]]
    origin.refuse(int(rows[repeated]), "actions", "each action once", got)
