"""Looking at a log piece by piece, so that its length does not matter."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from agents.errors import LogError
from agents.groups import Group
from agents.log import LATER, SCHEMA
from experiments.logs.columns import closed_rows
from experiments.logs.faults import FAULTS, View
from experiments.logs.importers.base import Piece
from experiments.logs.layout import MOST_LISTED
from experiments.logs.marks import full_distribution
from experiments.logs.quality import Finding, Place, Quality
from experiments.logs.read import log_files

_ROWS = 20_000  # at a time
_SHOWN = 3
_TOO_MANY = (
    f"more than {MOST_LISTED:,} distinct actions, and an estimate needs each to be drawn many"
    " times: name an action by what is offered, not by the single message or product"
)
_NEEDED = (  # and no fault of its own tells that it is missing
    "position", "decision_id", "at", "agent", "customer", "revision", "policy", "snapshot",
    "context", "reason", "floor", "explored",
)  # fmt: skip
_LISTS = ("actions", "mask", "distribution", "expected")


@dataclass(slots=True)
class _Tally:
    refused: bool
    count: int = 0
    first: list[Place] = field(default_factory=list)


class Inspector:
    """Looks at a log piece by piece; memory grows by some 50 bytes a row, for ids that come twice.

    Args:
        whole: whether the distributions are whole, see `full_distribution`.
    """

    def __init__(self, *, whole: bool = True) -> None:
        self.whole = whole
        self._counts: Counter[str] = Counter()
        self._agents: Counter[str] = Counter()
        self._groups: Counter[str] = Counter({str(group): 0 for group in Group})
        self._actions: set[str] = set()
        self._snapshots: set[str] = set()
        self._ids: list[NDArray[np.uint64]] = []
        self._files: list[tuple[str, NDArray[np.int64]]] = []
        self._tallies: dict[str, _Tally] = {}
        self._disorder = _Tally(refused=False)
        self._newest = np.iinfo(np.int64).min

    def add(self, piece: Piece) -> None:
        """Look at some more rows."""
        table, missing = _typed(piece.table)
        for column in missing:
            self._note("column missing or of another type", piece, (0,), (column,))
        if missing or not table.num_rows:
            self._counts["rows"] += piece.table.num_rows
            return
        self._sum_up(table)
        for name in _NEEDED:
            gaps = np.flatnonzero(np.asarray(table[name].is_null()))
            self._note(f"{name} missing", piece, gaps, ["null"] * len(gaps))
        self._ids.append(_digests(table["decision_id"]))
        self._files.append((piece.file, piece.rows))
        even = _even(table)
        rows = np.flatnonzero(~even)
        lengths = pc.list_value_length(table["actions"]).to_pylist()
        self._note("lists empty or of unequal length", piece, rows, [lengths[r] for r in rows])
        if len(rows):
            table = table.filter(pa.array(even))
        self._look(Piece(table, piece.file, piece.rows[even]))

    def result(self) -> Quality:
        """Say what was found in all rows so far."""
        decisions = self._repeats()
        if (count := len(self._actions)) > MOST_LISTED:
            self._tallies.setdefault(_TOO_MANY, _Tally(refused=True, count=count))
        if len(self._snapshots) > 1 and self._disorder.count:
            self._tallies["earlier than a row before it, and policies change"] = self._disorder
        if not self._counts["rows"]:
            self._tallies["no rows"] = _Tally(refused=True)
        elif not self._counts["usable"]:
            name = "no closed decision of treatment or random: nothing can be valued"
            self._tallies.setdefault(name, _Tally(refused=False, count=1))
        found = [
            Finding(name, tally.refused, tally.count, tuple(tally.first))
            for name, tally in self._tallies.items()
        ]
        counts = self._counts
        return Quality(
            rows=counts["rows"], decisions=decisions, agents=dict(self._agents),
            groups=dict(self._groups), closed=counts["closed"],
            still_open=counts["rows"] - counts["closed"], given_back=counts["given_back"],
            actions=len(self._actions), thinned=counts["thinned"], whole=self.whole,
            findings=tuple(sorted(found, key=lambda finding: not finding.refused)),
        )  # fmt: skip

    def _look(self, piece: Piece) -> None:
        view = View(piece.table)
        if len(self._actions) <= MOST_LISTED:  # a log of more is refused, whatever their number
            self._actions.update(pc.unique(view.items("actions")).to_pylist())
        for fault in FAULTS:
            rows, values = fault.find(view)
            self._note(fault.name, piece, rows, values, refused=fault.refused)
        at = view.seconds("at")  # (N,)
        latest = np.maximum.accumulate(np.concatenate([[self._newest], at]))  # (N + 1,)
        rows = np.flatnonzero(at < latest[:-1])
        self._newest = int(latest[-1])
        _add(
            self._disorder,
            piece,
            rows,
            [np.datetime64(int(at[row]), "us") for row in rows[:_SHOWN]],
        )

    def _note(
        self,
        name: str,
        piece: Piece,
        rows: Sequence[int] | NDArray[np.int64],
        values: Sequence[object] | NDArray[Any],
        *,
        refused: bool = True,
    ) -> None:
        if len(rows):
            tally = self._tallies.setdefault(name, _Tally(refused=refused))
            _add(tally, piece, rows, values)

    def _sum_up(self, table: pa.Table) -> None:
        closed = pa.array(closed_rows(table))
        useful = pc.is_in(table["group"], value_set=pa.array([Group.TREATMENT, Group.RANDOM]))
        self._counts["rows"] += table.num_rows
        self._counts["closed"] += _count(closed)
        self._counts["given_back"] += _count(table["given_back"].is_valid())
        self._counts["thinned"] += _count(pc.fill_null(pc.less(table["kept"], 1.0), False))
        self._counts["usable"] += _count(pc.and_(closed, useful))
        self._agents.update(_by_name(table["agent"]))
        self._groups.update(_by_name(table["group"]))
        self._snapshots.update(map(str, pc.unique(table["snapshot"]).to_pylist()))

    def _repeats(self) -> int:
        """Note the rows whose decision came before; returns the number of distinct ones."""
        if not self._ids:
            return 0
        ids = np.concatenate(self._ids)  # (N,)
        distinct, first = np.unique(ids, return_index=True)
        again = np.ones(len(ids), dtype=np.bool_)
        again[first] = False
        self._tallies.pop("decision id not new", None)
        start = 0
        for file, rows in self._files:
            part = np.flatnonzero(again[start : start + len(rows)])
            start += len(rows)
            piece = Piece(pa.table({}), file, rows)
            self._note("decision id not new", piece, part, ["seen before"] * len(part))
        return len(distinct)


def inspect_log(path: Path) -> Quality:
    """Look at a log's Parquet files, which need not be such as a reader accepts.

    Args:
        path: a file, or a folder of them.

    Raises:
        LogError: there is no such file, or it is no Parquet.
    """
    files = log_files(path)
    try:
        whole = all(full_distribution(pq.read_schema(file)) for file in files)
        inspector = Inspector(whole=whole)
        for file in files:
            for piece in _pieces(file):
                inspector.add(piece)
    except (pa.ArrowException, OSError) as error:
        raise LogError(f"{path}: expected Parquet files of a decision log: {error}") from None
    return inspector.result()


def _pieces(file: Path) -> Iterator[Piece]:
    start = 0
    with pq.ParquetFile(file) as stream:
        for batch in stream.iter_batches(_ROWS):
            rows = np.arange(start, start + batch.num_rows)
            start += batch.num_rows
            yield Piece(pa.Table.from_batches([batch]), file.name, rows)


def _typed(table: pa.Table) -> tuple[pa.Table, list[str]]:
    """Return the columns of the schema, null or not, and the names of those that are not there."""
    columns, missing = [], []
    for each in SCHEMA:
        if each.name in LATER and each.name not in table.column_names:
            columns.append(pa.chunked_array([pa.nulls(table.num_rows, each.type)]))
            continue
        try:
            column = table[each.name]
            columns.append(column if column.type == each.type else column.cast(each.type))
        except (KeyError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
            missing.append(each.name)
    names = [name for name in SCHEMA.names if name not in missing]
    return pa.table(columns, names=names), missing


def _even(table: pa.Table) -> NDArray[np.bool_]:
    """Return where the lists have one item for each action, and at least one; (N,)."""
    lengths = [
        np.asarray(pc.list_value_length(table[name]).fill_null(-1), dtype=np.int64)
        for name in _LISTS
    ]
    return np.asarray((lengths[0] > 0) & np.all(np.equal(lengths, lengths[0]), axis=0))


def _digests(ids: pa.ChunkedArray) -> NDArray[np.uint64]:
    """Return 64 bits of a digest of each id; (N,)."""
    joined = b"".join(
        hashlib.blake2b(str(name).encode(), digest_size=8).digest() for name in ids.to_pylist()
    )
    return np.frombuffer(joined, dtype=np.uint64)


def _add(
    tally: _Tally,
    piece: Piece,
    rows: Sequence[int] | NDArray[np.int64],
    values: Sequence[object] | NDArray[Any],
) -> None:
    tally.count += len(rows)
    for row, value in zip(rows, values, strict=False):
        if len(tally.first) >= _SHOWN:
            return
        tally.first.append(Place(piece.file, int(piece.rows[row]), _printable(value)))


def _printable(value: object) -> str:
    """Return the begin of a value's text, without what a terminal would take for a command."""
    return "".join(x if x.isprintable() else "\N{REPLACEMENT CHARACTER}" for x in str(value)[:60])


def _by_name(column: pa.ChunkedArray) -> dict[str, int]:
    return {
        _printable(each["values"]): each["counts"] for each in pc.value_counts(column).to_pylist()
    }


def _count(column: pa.ChunkedArray | pa.Array) -> int:
    return int(pc.sum(column).as_py() or 0)
