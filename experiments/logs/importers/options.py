"""What a table says of the actions of each row: which they were, if allowed, and how likely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds
from numpy.typing import NDArray

from experiments.logs.importers.base import NEAR, rounded, spread
from experiments.logs.importers.cells import Cells
from experiments.logs.importers.columns import Columns

BARRED = "not allowed"


@dataclass(frozen=True, slots=True)
class Options:
    """The actions of N rows, one after the other.

    Args:
        lengths: (N,) how many each row has.
        names: (items,) their ids.
        mask: (items,) null where allowed.
        distribution: (items,) probabilities.
        propensity: (N,) of the drawn actions.
    """

    lengths: NDArray[np.int64]
    names: pa.Array
    mask: pa.Array
    distribution: NDArray[np.float64]
    propensity: NDArray[np.float64]


def options_of(cells: Cells, columns: Columns, fixed: tuple[str, ...]) -> Options:
    """Read the actions of some rows.

    What was rounded to float32 is put right: a distribution whose sum is within 0.00001 of 1 is
    divided by it, and a propensity that near to the distribution's is replaced by that. Anything
    further off stays as it is, and is found when the log is checked.

    Args:
        cells: the rows.
        columns: what their columns mean.
        fixed: ids of the actions of every row; empty if each row lists its own.

    Raises:
        LogError: a row's lists are not of equal length.
    """
    lengths, names = _names(cells, columns, fixed)
    owner = np.repeat(np.arange(len(cells)), lengths)  # (items,)
    drawn = _drawn(cells, columns, names, owner)
    allowed = _allowed(cells, columns, names, owner, lengths)
    propensity = cells.numbers(columns.propensity)  # (N,)
    if columns.whole:
        distribution = _settled(_distribution(cells, columns, lengths), owner, len(cells))
        own = np.full(len(cells), np.nan)
        own[owner[drawn]] = distribution[drawn]
        propensity = np.where(np.abs(own - propensity) <= NEAR, own, propensity)
    else:
        distribution = spread(owner, allowed, drawn, propensity)
    mask = pc.if_else(pa.array(allowed), pa.scalar(None, pa.string()), BARRED)
    return Options(lengths, names, mask, distribution, propensity)


def _names(
    cells: Cells, columns: Columns, fixed: tuple[str, ...]
) -> tuple[NDArray[np.int64], pa.Array]:
    if fixed or not isinstance(columns.actions, str) or not columns.actions:
        width = len(fixed)
        places = pa.array(np.tile(np.arange(width), len(cells)))
        return np.full(len(cells), width), pa.array(fixed, pa.string()).take(places)
    lists = cells.lists(columns.actions)
    lengths = np.asarray(pc.list_value_length(lists), dtype=np.int64)
    return lengths, cells.items(lists, columns.actions, pa.string())


def _drawn(
    cells: Cells, columns: Columns, names: pa.Array, owner: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return which items were drawn; (items,)."""
    drawn = cells.texts(columns.action).take(pa.array(owner))
    return np.asarray(pc.fill_null(pc.equal(names, drawn), False), dtype=np.bool_)


def _allowed(
    cells: Cells,
    columns: Columns,
    names: pa.Array,
    owner: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Return which items were allowed; (items,)."""
    if not columns.allowed:
        return np.ones(len(owner), dtype=np.bool_)
    if isinstance(columns.allowed, Mapping):
        by_column = {
            name: cells.booleans(columns.allowed[name]) if name in columns.allowed else None
            for name in columns.fixed
        }
        every = np.ones(len(cells), dtype=np.bool_)
        known = [every if each is None else each for each in by_column.values()]
        return np.stack(known, axis=1).ravel()
    lists = cells.lists(columns.allowed)
    if kinds.is_boolean(lists.type.value_type):
        _same(cells, columns.allowed, lists, lengths)
        return np.asarray(lists.flatten().fill_null(False), dtype=np.bool_)
    sets = [set(map(str, each)) for each in lists.to_pylist()]
    pairs = zip(names.to_pylist(), owner.tolist(), strict=True)
    return np.array([name in sets[row] for name, row in pairs], dtype=np.bool_)


def _distribution(
    cells: Cells, columns: Columns, lengths: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the probabilities as they stand; (items,), an empty cell of a column is 0."""
    if isinstance(columns.distribution, Mapping):
        each = [cells.numbers(column) for column in columns.distribution.values()]
        table = np.stack(each, axis=1)  # (N, A)
        return np.where(np.isnan(table), 0.0, table).ravel()
    lists = cells.lists(columns.distribution)
    _same(cells, columns.distribution, lists, lengths)
    return np.array(cells.items(lists, columns.distribution, pa.float64()), dtype=np.float64)


def _same(cells: Cells, name: str, lists: pa.Array, lengths: NDArray[np.int64]) -> None:
    got = np.asarray(pc.list_value_length(lists), dtype=np.int64)
    wrong = np.flatnonzero(got != lengths)
    if len(wrong):
        row = int(wrong[0])
        cells.refuse(row, name, f"{lengths[row]} values, one for each action", int(got[row]))


def _settled(
    values: NDArray[np.float64], owner: NDArray[np.int64], count: int
) -> NDArray[np.float64]:
    sums = np.bincount(owner, values, minlength=count).astype(np.float64)  # (N,)
    near = rounded(sums)
    return np.asarray(values / np.where(near, sums, 1.0)[owner])
