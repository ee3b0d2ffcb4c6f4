"""Shipping: the log as closed Parquet files, block by block, while the server runs.

A block is a stretch of positions, and always the same one, so no decision is in two files, and none
in no file: a run that died is done again for the block that it was writing. A block is written when
it has new entries, and again when the last outcome window of its decisions has ended, when a
correction or a delivery came later still, and when a customer in it was erased. Until then its
open decisions have no `closed_at`, as in every log.

What the ledger has pruned meanwhile stays as it was shipped; what was erased does not.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from agents.errors import LogError, StateError
from agents.log import SCHEMA
from serving.files import whole_file
from serving.keeping.export import EVENTS, SHARED, LogRows
from serving.keeping.shipped import (
    BLOCK,
    Block,
    Shipped,
    block_of,
    file_name,
    read_manifest,
    save_manifest,
)
from serving.ledger import Entry, LedgerReader

_SINGLE = "decisions.parquet"  # what `nextbest export` writes
_BATCH = 1_000
_TABLES: Mapping[str, pa.Schema] = {"decisions": SCHEMA, "events/events": EVENTS}


def ship(ledger: LedgerReader, folder: Path, *, key: bytes, now: datetime) -> Shipped:
    """Bring a folder of logs up to date with the ledger; return its manifest.

    Args:
        ledger: read as it stands, whatever a server adds meanwhile.
        folder: made if missing; read by `nextbest evaluate` like any log.
        key: hashes customers' ids.
        now: the ledger's time.

    Raises:
        StateError: another run ships to the folder, it holds another log, or cannot be written.
        LogError: an entry of the ledger is damaged.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder), ledger.still():
            if (folder / _SINGLE).exists():
                raise StateError(
                    f"{folder} holds a log that `nextbest export` wrote; choose another folder"
                )
            return _Run(ledger, folder, LogRows(ledger, folder, key, now), now).ship()
    except OSError as error:
        raise StateError(f"the log cannot be shipped to {folder}: {error}") from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(f"another run ships to {folder}; wait for its end") from None
        for remains in folder.rglob(".*.partial"):
            remains.unlink()
        yield


class _Run:
    """One run of shipping."""

    def __init__(self, ledger: LedgerReader, folder: Path, rows: LogRows, now: datetime) -> None:
        self._ledger = ledger
        self._folder = folder
        self._rows = rows
        self._now = now
        self._erased: set[str] = set()

    def ship(self) -> Shipped:
        manifest = read_manifest(self._folder)
        last = self._ledger.last_position()
        stale = {block.number for block in manifest.blocks if block.closed(self._now)}
        if manifest.writing is not None:
            stale.add(manifest.writing)
        stale |= self._changed(manifest)
        stale |= {block.number for block in manifest.blocks if self._holds_erased(block)}
        for number in sorted(stale):
            manifest = replace(manifest, writing=number)
            save_manifest(self._folder, manifest)
            manifest = manifest.having(self._write(number))
        manifest = replace(manifest, through=last, writing=None)
        save_manifest(self._folder, manifest)
        return manifest

    def _changed(self, manifest: Shipped) -> set[int]:
        """Return the blocks that new entries stand in or speak of; remember who was erased."""
        changed = set()
        opened = {block.number for block in manifest.blocks if block.closes}
        for entry in _entries(self._ledger, manifest.through):
            changed.add(block_of(entry.position))
            if entry.kind == "erasure" and "customer" in entry.body:
                self._erased.add(entry.body["customer"])
            spoken_of = self._spoken_of(entry)
            if spoken_of is not None and spoken_of not in opened:
                changed.add(spoken_of)
        return changed

    def _spoken_of(self, entry: Entry) -> int | None:
        """Return the block of the decision whose row an entry changes, None if there is none."""
        if entry.kind not in ("outcome", "correction", "delivery"):
            return None
        decision_id = entry.body.get("event", entry.body).get("decision_id")
        stored = self._ledger.find_decision(decision_id) if decision_id else None
        return None if stored is None else block_of(stored.position)

    def _holds_erased(self, block: Block) -> bool:
        if not self._erased:
            return False
        erased = pa.array(sorted(self._erased), pa.string())
        return any(
            pc.any(
                pc.is_in(
                    pq.read_table(self._folder / name, columns=["customer"], partitioning=None)[
                        "customer"
                    ],
                    erased,
                )
            ).as_py()
            for name in block.files
        )

    def _write(self, number: int) -> Block | None:
        first, last = number * BLOCK + 1, (number + 1) * BLOCK
        entries = list(_entries(self._ledger, first - 1, last))
        rows = self._rows.decisions(entries)
        made: dict[str, Sequence[Mapping[str, Any]]] = {
            "decisions": rows, "events/events": self._rows.loose(entries),
        }  # fmt: skip
        known = pa.array([entry.position for entry in entries], pa.int64())
        files, decisions = {}, 0
        for name, schema in _TABLES.items():
            file = file_name(name, number)
            fresh = pa.Table.from_pylist([dict(row) for row in made[name]], schema=schema)
            table = pa.concat_tables([self._kept(file, schema, known), fresh])
            digest = self._put(file, table.sort_by("position"))
            if digest is not None:
                files[file] = digest
            decisions += table.num_rows if schema is SCHEMA else 0
        closes = [self._rows.closes(row) for row in rows if row["closed_at"] is None]
        ends = max(closes).isoformat() if closes else ""
        return Block(number, decisions, ends, files) if files else None

    def _kept(self, file: str, schema: pa.Schema, known: pa.Array) -> pa.Table:
        """Return the rows of an earlier file that the ledger has pruned, but not erased."""
        path = self._folder / file
        if not path.exists():
            return schema.empty_table()
        try:
            table = pq.read_table(path, schema=schema, partitioning=None)
        except pa.ArrowInvalid as error:
            raise LogError(f"{path} is damaged: {error}") from error
        gone = pc.or_(
            pc.is_in(table["position"], known),
            pc.is_in(table["customer"], pa.array(sorted(self._erased), pa.string())),
        )
        return table.filter(pc.invert(gone))

    def _put(self, file: str, table: pa.Table) -> str | None:
        """Write a table whole, or remove its file if there is nothing in it; return its digest."""
        path = self._folder / file
        if not table.num_rows:
            path.unlink(missing_ok=True)
            return None
        with whole_file(path, SHARED) as temporary:
            pq.write_table(table, temporary, compression="zstd")
        with path.open("rb") as written:
            return hashlib.file_digest(written, "sha256").hexdigest()


def _entries(ledger: LedgerReader, after: int, until: int | None = None) -> Iterator[Entry]:
    """Yield the entries of a stretch of the log, both ends as `(after, until]`."""
    while entries := ledger.entries(after, _BATCH):
        for entry in entries:
            if until is not None and entry.position > until:
                return
            yield entry
        after = entries[-1].position
