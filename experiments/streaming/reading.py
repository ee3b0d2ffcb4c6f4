"""From batches to the decisions that a valuation is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from experiments.logs.columns import bools, closed_rows, codes, instants
from experiments.logs.contexts import Contexts, Late, joined
from experiments.logs.decisions import LoggedDecisions
from experiments.logs.read import only_agent, to_decisions
from experiments.logs.validation import parse_contexts
from experiments.reward_models.raw_features import ContextBlock
from experiments.streaming.source import COLUMNS, Batch, Piece, batches

Ints = NDArray[np.int64]

_COUNTS = "contacts"
_FEATURE = "feature."

WHEN = ("at", "agent", "group", "closed_at", "state", "given_back")
"""The columns that say which decisions count, and when they were made."""


@dataclass(frozen=True)
class Reader:
    """Which decisions of a log are meant, and how they are read.

    Args:
        agent: whose decisions.
        groups: of which groups.
        rows: read at a time.
        shelf: folder in which features are kept that have been parsed once; None to parse anew.
    """

    agent: str
    groups: tuple[str, ...]
    rows: int
    shelf: Path | None = None

    def batches(self, piece: Piece, columns: tuple[str, ...] = COLUMNS) -> Iterator[Batch]:
        """Read the agent's rows of a piece."""
        for batch in batches(piece, self.rows, columns):
            table, origin = only_agent(batch.table, batch.origin, self.agent)
            yield replace(batch, table=table, origin=origin)

    def kept(self, batch: Batch) -> NDArray[np.bool_]:
        """Say which rows count: closed, made, and of the groups; (n,)."""
        table = batch.table
        names, numbers = codes(joined(table["group"]))
        wanted = np.array([name in self.groups for name in (*names, None)], dtype=np.bool_)
        closed = closed_rows(table) & bools(table["given_back"].is_null())
        return np.asarray(wanted[numbers] & closed)

    def contexts(self, batch: Batch) -> Contexts | NDArray[np.object_]:
        """Read the contexts of a batch, from the shelf if they have been parsed before."""
        file = None if self.shelf is None else self.shelf / f"{batch.key}.arrow"
        if file is not None and file.is_file():
            return _taken(file, batch.contexts)
        found = parse_contexts(batch.contexts.found, batch.origin)
        if file is not None and isinstance(found, Contexts) and found.table is not None:
            _put(file, found, found.table)
        return found

    def block(self, batch: Batch, kept: NDArray[np.bool_]) -> ContextBlock:
        """Return the contexts and instants of the rows that count."""
        contexts, at = self.contexts(batch), instants(batch.table, "at")
        if kept.all():
            return ContextBlock(contexts, at)
        return ContextBlock(contexts[np.flatnonzero(kept)], at[kept])

    def codes(
        self, batch: Batch, number: int, find: Callable[[], NDArray[np.intp]]
    ) -> NDArray[np.intp]:
        """Return the segments of the rows that count, from the shelf if they were found before.

        Args:
            batch: of the log.
            number: of the split that has the segments.
            find: returns them.
        """
        file = None if self.shelf is None else self.shelf / f"{batch.key}.{number}.npy"
        if file is not None and file.is_file():
            return np.asarray(np.load(file), dtype=np.intp)
        found = find()
        if file is not None:
            np.save(file, found.astype(np.int8))
        return found

    def note(self, batch: Batch, at: Ints, rows: Ints) -> None:
        """Keep the instants and row numbers, (n,) each, of those of a batch's rows that count.

        Batches come in order, all of a piece.
        """
        if self.shelf is not None:
            mode = "wb" if batch.start == batch.piece.start else "ab"
            with self._noted(batch.piece, self.shelf).open(mode) as file:
                file.write(np.stack([at, rows], axis=1).tobytes())

    def noted(self, piece: Piece) -> tuple[Ints, Ints] | None:
        """Return all that was kept of a piece's instants and row numbers; None if nothing was."""
        file = None if self.shelf is None else self._noted(piece, self.shelf)
        if file is None or not file.is_file():
            return None
        found = np.fromfile(file, dtype=np.int64).reshape(-1, 2)  # (n, 2)
        return np.ascontiguousarray(found[:, 0]), found[:, 1]

    def _noted(self, piece: Piece, shelf: Path) -> Path:
        return shelf / f"{piece.offset}-{piece.start}.when"

    def log(
        self, batch: Batch, actions: tuple[str, ...], *, places: int, whole: bool
    ) -> LoggedDecisions:
        """Check a batch, and return the decisions that count.

        Args:
            batch: of the log.
            actions: of the log.
            places: see `lay_out`.
            whole: whether every action's probability was logged.

        Raises:
            LogError: a row is malformed.
        """
        contexts = self.contexts(batch)
        log = to_decisions(
            batch.table, batch.origin, include_open=True, actions=actions, places=places,
            contexts=contexts,
        )  # fmt: skip
        kept = self.kept(batch)[bools(batch.table["given_back"].is_null())]
        return replace(log if kept.all() else log.where(kept), whole=whole)


def row_numbers(batch: Batch) -> NDArray[np.int64]:
    """Number the rows of a batch among the rows of all files; (n,)."""
    return np.asarray(batch.origin.rows - batch.piece.start + batch.piece.offset)


def _put(file: Path, contexts: Contexts, features: pa.Table) -> None:
    columns = [pa.array(contexts.contacts), *features.columns]
    names = [_COUNTS, *(_FEATURE + name for name in features.column_names)]
    table = pa.table(columns, names=names)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _taken(file: Path, texts: Late) -> Contexts:
    with pa.OSFile(str(file), "rb") as source:
        table = pa.ipc.open_file(source).read_all()
    features = table.drop_columns([_COUNTS])
    names = [name.removeprefix(_FEATURE) for name in features.column_names]
    counts = np.asarray(joined(table[_COUNTS]), dtype=np.int64)
    return Contexts(texts, counts, features.rename_columns(names))
