"""What can be wrong with single rows of a log: each fault finds its rows, and the value in each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from agents.groups import Group

SLACK = 1e-9  # as the strict reader's

Found = tuple[NDArray[np.int64], NDArray[Any]]  # rows, and the value in each


@dataclass(frozen=True)
class View:
    """Some rows of a log, whose lists are of equal length, laid out item by item.

    Args:
        table: of the log's schema; what must not be null may be, as a fault looks for it.
    """

    table: pa.Table

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column as (N,) float64; null is NaN."""
        return np.array(self.table[name], dtype=np.float64)

    def seconds(self, name: str) -> NDArray[np.int64]:
        """Return a column of instants as (N,) microseconds; null is the earliest of all."""
        least = np.iinfo(np.int64).min
        return np.array(self.table[name].cast(pa.int64()).fill_null(least), dtype=np.int64)

    def items(self, name: str) -> pa.Array:
        """Return the items of a list column, one after the other; (items,)."""
        return _joined(self.table[name]).flatten()

    @cached_property
    def owner(self) -> NDArray[np.int64]:
        """The row of each item; (items,)."""
        lengths = np.asarray(pc.list_value_length(_joined(self.table["actions"])))
        return np.repeat(np.arange(self.table.num_rows), lengths)

    @cached_property
    def codes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of the listed actions (items,) and of the drawn ones (N,), -1 if not listed."""
        listed = self.items("actions")
        names = pc.unique(listed)
        drawn = pc.index_in(_joined(self.table["action"]), value_set=names)
        return (
            np.asarray(pc.index_in(listed, value_set=names), dtype=np.int64),
            np.asarray(drawn.fill_null(-1), dtype=np.int64),
        )

    @cached_property
    def drawn(self) -> NDArray[np.bool_]:
        """Whether an item is the action that was drawn in its row; (items,)."""
        listed, drawn = self.codes
        return np.asarray(listed == drawn[self.owner])

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """The distributions' items; (items,), null is NaN."""
        return np.array(self.items("distribution"), dtype=np.float64)

    @cached_property
    def spoiled(self) -> NDArray[np.bool_]:
        """Rows whose propensity is no probability and stands so in the distribution; (N,).

        That is one fault, told as the propensity's.
        """
        values, own = self.numbers("propensity"), np.full(self.table.num_rows, np.inf)
        own[self.owner[self.drawn]] = self.probabilities[self.drawn]
        alike = (own == values) | (np.isnan(own) & np.isnan(values))
        return np.asarray(alike & ~((values >= 0.0) & (values <= 1.0)))

    @cached_property
    def barred(self) -> NDArray[np.bool_]:
        """Whether an item's action was barred; (items,)."""
        return np.asarray(self.items("mask").is_valid(), dtype=np.bool_)

    @cached_property
    def outcomes(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.object_]]:
        """Row, microseconds and name of every outcome; (outcomes,) each."""
        lists = _joined(self.table["outcomes"])
        lengths = np.asarray(pc.list_value_length(lists).fill_null(0))
        owner = np.repeat(np.arange(self.table.num_rows), lengths)
        events = lists.flatten()
        at = np.asarray(events.field("at").cast(pa.int64()), dtype=np.int64)
        return owner, at, np.array(events.field("outcome").to_pylist(), dtype=np.object_)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that can be wrong with a row.

    Args:
        name: what is wrong, in a few words.
        find: returns the rows, each once, and what stands there.
        refused: whether such a log is refused; otherwise it is a warning.
    """

    name: str
    find: Callable[[View], Found]
    refused: bool = True


def _joined(column: pa.ChunkedArray) -> pa.Array:
    found = column.combine_chunks()
    return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)


def _where(bad: NDArray[np.bool_], values: NDArray[Any]) -> Found:
    rows = np.flatnonzero(bad)
    return rows, values[rows]


def _items(view: View, bad: NDArray[np.bool_], values: NDArray[Any]) -> Found:
    """Return the first bad item of each row that has one."""
    rows, first = np.unique(view.owner[bad], return_index=True)
    return rows, values[np.flatnonzero(bad)[first]]


def _propensity(
    test: Callable[[NDArray[np.float64]], NDArray[np.bool_]],
) -> Callable[[View], Found]:
    def find(view: View) -> Found:
        values = view.numbers("propensity")
        return _where(test(values), values)

    return find


def _probability(view: View) -> Found:
    values = view.probabilities
    told = view.drawn & view.spoiled[view.owner]
    return _items(view, (~(values >= 0.0) | np.isinf(values)) & ~told, values)


def _sum(view: View) -> Found:
    sums = np.bincount(view.owner, view.probabilities, minlength=view.table.num_rows)
    # NaN is reported as a probability, or with the propensity
    return _where((np.abs(sums - 1.0) > SLACK) & ~view.spoiled, sums)


def _disagreement(view: View) -> Found:
    own = np.full(view.table.num_rows, np.nan)
    own[view.owner[view.drawn]] = view.probabilities[view.drawn]
    return _where(np.abs(own - view.numbers("propensity")) > SLACK, own)


def _unlisted(view: View) -> Found:
    return _where(view.codes[1] < 0, _texts(view, "action"))


def _unnamed(view: View) -> Found:
    return _items(view, np.asarray(view.items("actions").is_null()), np.array(["null"]).repeat(
        len(view.owner)
    ))  # fmt: skip


def _context(view: View) -> Found:
    texts = view.table["context"].to_pylist()
    rows = [row for row, text in enumerate(texts) if text is not None and not _is_object(text)]
    return np.array(rows, dtype=np.int64), np.array([texts[row] for row in rows], dtype=np.object_)


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def _repeated(view: View) -> Found:
    listed = view.codes[0]
    _, first = np.unique(view.owner * (listed.max(initial=0) + 1) + listed, return_index=True)
    again = np.ones(len(listed), dtype=np.bool_)
    again[first] = False
    rows = np.flatnonzero(again)
    names = view.items("actions").take(pa.array(rows)).to_pylist()
    owners, place = np.unique(view.owner[rows], return_index=True)
    return owners, np.array(names, dtype=np.object_)[place]


def _barred(view: View) -> Found:
    rows = np.unique(view.owner[view.drawn & view.barred])
    return rows, _texts(view, "action")[rows]


def _leak(view: View) -> Found:
    values = view.probabilities
    return _items(view, view.barred & (values > 0.0), values)


def _reward(view: View) -> Found:
    values = view.numbers("reward")
    return _where(~np.isfinite(values), values)


def _group(view: View) -> Found:
    values = _texts(view, "group")
    return _where(~np.isin(values.astype(str), [str(group) for group in Group]), values)


def _kept(view: View) -> Found:
    values = view.numbers("kept")
    known = np.asarray(view.table["kept"].is_valid(), dtype=np.bool_)
    return _where(known & ~((values > 0.0) & (values <= 1.0)), values)


def _early(view: View) -> Found:
    owner, at, names = view.outcomes
    return _first(owner, at < view.seconds("at")[owner], names)


def _late(view: View) -> Found:
    owner, at, names = view.outcomes
    closed = np.asarray(view.table["closed_at"].is_valid(), dtype=np.bool_)[owner]
    return _first(owner, closed & (at > view.seconds("closed_at")[owner]), names)


def _closed(view: View) -> Found:
    known = np.asarray(view.table["closed_at"].is_valid(), dtype=np.bool_)
    bad = known & (view.seconds("closed_at") < view.seconds("at"))
    rows = np.flatnonzero(bad)
    return rows, np.array([str(x) for x in view.table["closed_at"].filter(pa.array(bad))])


def _first(owner: NDArray[np.int64], bad: NDArray[np.bool_], names: NDArray[np.object_]) -> Found:
    rows, first = np.unique(owner[bad], return_index=True)
    return rows, names[np.flatnonzero(bad)[first]]


def _texts(view: View, name: str) -> NDArray[np.object_]:
    return np.array(view.table[name].to_pylist(), dtype=np.object_)


FAULTS: tuple[Fault, ...] = (
    Fault("propensity missing", _propensity(np.isnan)),
    Fault("propensity of 0", _propensity(lambda p: p == 0.0)),
    Fault("propensity below 0", _propensity(lambda p: p < 0.0)),
    Fault("propensity above 1", _propensity(lambda p: p > 1.0)),
    Fault("probability impossible", _probability),
    Fault("probabilities do not sum to 1", _sum),
    Fault("propensity is not the distribution's", _disagreement),
    Fault("drawn action is not listed", _unlisted),
    Fault("action without an id", _unnamed),
    Fault("context is no JSON object", _context),
    Fault("action listed twice", _repeated),
    Fault("drawn action was barred", _barred),
    Fault("barred action has a probability", _leak),
    Fault("reward missing or infinite", _reward),
    Fault("group unknown", _group),
    Fault("share of kept rows impossible", _kept),
    Fault("outcome before its decision", _early),
    Fault("outcome after its window", _late, refused=False),
    Fault("closed before it was decided", _closed, refused=False),
)
