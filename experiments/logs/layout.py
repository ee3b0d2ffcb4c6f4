"""Lists of actions, one in each row of a log, as columns of an array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from agents.actions import NONE_ID
from agents.errors import LogError
from experiments.logs.columns import codes
from experiments.logs.contexts import joined
from experiments.logs.origin import Origin

_MOST_ACTIONS = 10_000


@dataclass(frozen=True)
class Layout:
    """How the items of list columns become rows of A actions.

    Args:
        actions: (A,) ids.
        lengths: (N,) items of each row.
        columns: (items,) column of each item; or (L,) if all rows list the same L actions alike.
        even: whether they do.
    """

    actions: tuple[str, ...]
    lengths: NDArray[np.int64]
    columns: NDArray[np.int64]
    even: bool

    def spread(self, items: NDArray[Any]) -> NDArray[Any]:
        """Lay items (items,) out as (N, A); 0 or false where a row does not list an action."""
        shape = (len(self.lengths), len(self.actions))
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
    """Return each id once, `none` first and then as they first appear."""
    found = tuple(dict.fromkeys((NONE_ID, *names)))
    if len(found) > _MOST_ACTIONS:
        raise LogError(
            f"actions: expected at most {_MOST_ACTIONS:,} distinct ones, got {len(found):,}, the"
            f" last {found[-1]!r}; an estimate needs each to be drawn many times"
        )
    return found


def _seen(names: Sequence[str | None], numbers: NDArray[np.int64]) -> list[str]:
    """Return the values that occur, in the order in which they first do; codes may lack any."""
    first = np.full(len(names), len(numbers))
    first[numbers[::-1]] = np.arange(len(numbers))[::-1]  # what is written last stays
    order = np.argsort(first, kind="stable")
    return [str(names[code]) for code in order if first[code] < len(numbers)]


def lay_out(table: pa.Table, origin: Origin, actions: Sequence[str] | None) -> Layout:
    """Say how the lists of a table's rows become rows of A actions.

    Args:
        table: rows.
        origin: where they are from.
        actions: of the whole log; None to take those of the table.

    Raises:
        LogError: a row lists nothing, or an action twice.
    """
    lengths = np.asarray(joined(table["actions"]).value_lengths(), dtype=np.int64)  # (N,)
    origin.require(lengths > 0, "actions", "at least one item", lengths)
    names, numbers = codes(joined(table["actions"]).flatten())
    even = len(lengths) > 0 and bool(np.all(lengths == lengths[0]))
    if even:
        rows = numbers.reshape(len(lengths), -1)  # (N, L)
        even = bool(np.all(rows == rows[0]))
        numbers = rows[0] if even else numbers
    union = ordered(_seen(names, numbers)) if actions is None else tuple(actions)
    place = {name: column for column, name in enumerate(union)}
    lookup = np.array([place.get(str(name), -1) for name in names], dtype=np.int64)
    layout = Layout(union, lengths, lookup[numbers], even)
    _check_repeats(layout, origin)
    return layout


def list_items(
    table: pa.Table, column: str, origin: Origin, expected: NDArray[np.int64]
) -> pa.Array:
    """Return the joined items of a list column, as many in each row as `expected` (N,)."""
    array = joined(table[column])
    lengths = np.asarray(array.value_lengths(), dtype=np.int64)  # (N,)
    origin.require(lengths == expected, column, "as many items as there are actions", lengths)
    return array.flatten()


def _check_repeats(layout: Layout, origin: Origin) -> None:
    rows = np.repeat(np.arange(len(layout.lengths)), 1 if layout.even else layout.lengths)
    if layout.even:
        rows = np.zeros(len(layout.columns), dtype=np.int64)
    cells = rows * len(layout.actions) + layout.columns
    counts = np.bincount(cells)
    if counts.max(initial=0) <= 1:
        return
    _, first = np.unique(cells, return_index=True)
    repeated = np.setdiff1d(np.arange(len(cells)), first)[0]
    got = layout.actions[layout.columns[repeated]]
    origin.refuse(int(rows[repeated]), "actions", "each action once", got)
