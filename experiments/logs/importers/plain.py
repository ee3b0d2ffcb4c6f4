"""Any table as a log: CSV, Parquet, Arrow or pandas, by a mapping of its columns."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from agents.errors import LogError
from agents.log import hash_customer
from experiments.logs.importers.base import (
    Piece,
    context_json,
    fill_table,
    narrow,
    outcome_lists,
    ragged,
)
from experiments.logs.importers.candidates import MOST_OFFERED, too_wide
from experiments.logs.importers.cells import INSTANT, Cells
from experiments.logs.importers.columns import ALL, Columns
from experiments.logs.importers.options import options_of
from experiments.logs.importers.sources import Source, source_batches, source_name

_SECOND_US = 1_000_000


@dataclass(frozen=True)
class PlainLog:
    """Reads tables as decisions.

    Args:
        sources: files (.csv, .parquet, .arrow, .feather), Arrow tables or pandas frames.
        columns: what their columns mean.
        agent: name for the log.
        key: secret that customers' names are hashed with; a fresh one if left out, so that two
            imports name them differently and nobody can tell who they are.

    Example:
        >>> table = pa.table({"offer": ["a", "b"], "p": [0.5, 0.5], "margin": [0.0, 3.0]})
        >>> log = PlainLog((table,), Columns("offer", "p", reward="margin"))
        >>> next(log.pieces()).table["actions"].to_pylist()
        [['a', 'b'], ['a', 'b']]
    """

    sources: Sequence[Source]
    columns: Columns
    agent: str = "imported"
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def pieces(self) -> Iterator[Piece]:
        """Read the tables, some thousand rows at a time.

        Raises:
            LogError: a column is missing, or a value is of another kind; names file and row.
        """
        names = self.columns.fixed or (self._distinct() if not self.columns.actions else ())
        position = 0
        for number, source in enumerate(self.sources):
            first = 0
            label = self._label(number)
            for table in narrow(source_batches(source, self.columns), len(names)):
                yield self._piece(Cells(table, label, first), names, position)
                first += table.num_rows
                position += table.num_rows

    def _label(self, number: int) -> str:
        """Name a source; several files of one name are numbered, as rows are named after them."""
        names = [source_name(source, place) for place, source in enumerate(self.sources)]
        earlier = names[:number].count(names[number])
        return f"{names[number]} ({earlier + 1})" if earlier else names[number]

    def _distinct(self) -> tuple[str, ...]:
        """Return every action that was drawn anywhere, sorted; reads everything once."""
        found: set[str] = set()
        for number, source in enumerate(self.sources):
            first = 0
            for table in source_batches(source, self.columns, only=(self.columns.action,)):
                cells = Cells(table, self._label(number), first)
                first += table.num_rows
                found.update(pc.unique(cells.texts(self.columns.action)).to_pylist())
                if len(found) > MOST_OFFERED:
                    what = f"{cells.file}: {self.columns.action}, all that was ever drawn"
                    raise LogError(too_wide(len(found), what))
        return tuple(sorted(found))

    def _piece(self, cells: Cells, names: tuple[str, ...], position: int) -> Piece:
        columns, count = self.columns, len(cells)
        options = options_of(cells, columns, names)
        at = cells.instants(columns.at) if columns.at else _order(position, count)
        if at.null_count:
            cells.refuse(int(np.argmax(np.asarray(at.is_null()))), columns.at, "an instant", None)
        ids = self._ids(cells)
        worth = _worth(cells, columns)
        lengths = options.lengths
        values: dict[str, Any] = {
            "position": pa.array(np.arange(position, position + count)),
            "decision_id": ids, "at": at, "agent": self.agent,
            "customer": self._customers(cells, ids),
            "context": pa.array(_contexts(cells, columns), pa.string()),
            "actions": ragged(lengths, options.names),
            "mask": ragged(lengths, options.mask),
            "distribution": ragged(lengths, pa.array(options.distribution)),
            "action": cells.texts(columns.action),
            "propensity": pa.array(options.propensity),
            "outcomes": outcome_lists(worth.outcome, _outcome_at(cells, columns, at)),
            "reward": pa.array(worth.reward), "closed_at": _closing(cells, columns, at),
        }  # fmt: skip
        for name in ("group", "policy", "snapshot"):
            if getattr(columns, name):
                values[name] = cells.texts(getattr(columns, name))
        if columns.kept:
            missing = np.asarray(cells.column(columns.kept).is_null())
            values["kept"] = pa.array(cells.numbers(columns.kept), mask=missing)
        rows = np.arange(cells.first, cells.first + count)
        return Piece(fill_table(count, values), cells.file, rows)

    def _ids(self, cells: Cells) -> pa.Array:
        if self.columns.decision_id:
            return cells.texts(self.columns.decision_id)
        return pa.array([f"{cells.file}-{cells.first + row}" for row in range(len(cells))])

    def _customers(self, cells: Cells, ids: pa.Array) -> pa.Array:
        if not self.columns.customer:
            return ids
        names = cells.texts(self.columns.customer).to_pylist()
        return pa.array([hash_customer(self.key, name) for name in names], pa.string())


@dataclass(frozen=True, slots=True)
class _Worth:
    """What rows earned, (N,) currency: before and after the cost."""

    outcome: NDArray[np.float64]
    reward: NDArray[np.float64]


def _worth(cells: Cells, columns: Columns) -> _Worth:
    cost = cells.numbers(columns.cost) if columns.cost else np.zeros(len(cells))
    if columns.reward:
        reward = cells.numbers(columns.reward)
        return _Worth(cells.numbers(columns.outcome) if columns.outcome else reward + cost, reward)
    outcome = cells.numbers(columns.outcome)
    return _Worth(outcome, outcome - cost)


def _contexts(cells: Cells, columns: Columns) -> list[str]:
    names = list(columns.features)
    if names == [ALL]:
        used = columns.used()
        names = [name for name in cells.table.column_names if name not in used]
    if not names:
        return [context_json({})] * len(cells)
    return [context_json(features) for features in cells.features(names)]


def _order(position: int, count: int) -> pa.Array:
    """Return instants that say no more than the order of the rows: one a second, from 1970."""
    steps = np.arange(position, position + count) * _SECOND_US
    return pa.array(steps).cast(INSTANT)


def _outcome_at(cells: Cells, columns: Columns, at: pa.Array) -> pa.Array:
    if not columns.outcome_at:
        return at
    return pc.coalesce(cells.instants(columns.outcome_at), at)


def _closing(cells: Cells, columns: Columns, at: pa.Array) -> pa.Array:
    """Return when the outcome was in: a table that is imported has all of them."""
    later = _outcome_at(cells, columns, at)
    return pc.if_else(pc.greater(later, at), later, at)
