"""From the ledger to Parquet: the log that researchers read, in closed files.

A folder holds `decisions.parquet` in the schema of `agents.log`; `revisions/ID.json`, the source of
every revision that decided, so contexts and masks can be rebuilt; and `events/events.parquet`, what
customers did that followed no decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from agents.decisions import Decision, OutcomeEvent
from agents.errors import LogError, StateError
from agents.log import SCHEMA, hash_customer, log_row, log_table
from agents.revision import Revision
from serving.files import whole_file, write_whole
from serving.ledger import Entry, LedgerReader, SqliteReader
from serving.settings import Settings, load_keys

_ROWS = 5_000
_SHARED = 0o666  # the log is made to be read by others

EVENTS = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),  # order of commit
        pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("customer", pa.string(), nullable=False),  # keyed hash
        pa.field("event", pa.string(), nullable=False),
        pa.field("properties", pa.string(), nullable=False),  # JSON: numbers by name
    ]
)

Progress = Callable[[int], None]


def export_log(
    settings: Settings, folder: Path, *, now: datetime, progress: Progress | None = None
) -> int:
    """Write the whole log of a data folder as Parquet; return the number of decisions.

    What is written is the ledger at one moment, whatever a server adds meanwhile.

    Args:
        settings: names the data folder.
        folder: made if missing; a log that is there is replaced in one step.
        now: the ledger's time; decisions whose windows end later are marked open.
        progress: called with the number of decisions after each batch.

    Raises:
        StateError: there is no ledger, or the folder cannot be written.
        LogError: an entry of the ledger is damaged; a log that is there stays as it was.
    """
    ledger = SqliteReader.open(settings.ledger)
    try:
        key = load_keys(settings.data).customer
        return _Export(ledger, folder, key, now).write(progress)
    except OSError as error:
        raise StateError(f"the log cannot be written to {folder}: {error}") from error
    finally:
        ledger.close()


class _Export:
    def __init__(self, ledger: LedgerReader, folder: Path, key: bytes, now: datetime) -> None:
        self._ledger = ledger
        self._folder = folder
        self._key = key
        self._now = now
        self._revisions: dict[str, Revision] = {}

    def write(self, progress: Progress | None) -> int:
        for name in ("revisions", "events"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        with ExitStack() as files, self._ledger.still():
            decisions, events = (
                files.enter_context(
                    pq.ParquetWriter(
                        files.enter_context(whole_file(self._folder / name, _SHARED)),
                        schema,
                        compression="zstd",
                    )
                )
                for name, schema in (
                    ("decisions.parquet", SCHEMA),
                    ("events/events.parquet", EVENTS),
                )
            )
            return self._write_rows(decisions, events, progress)

    def _write_rows(
        self, decisions: pq.ParquetWriter, events: pq.ParquetWriter, progress: Progress | None
    ) -> int:
        count = 0
        for entries in self._batches():
            rows = [self._row(entry) for entry in entries if entry.kind == "decision"]
            decisions.write_table(log_table(rows))
            events.write_table(pa.Table.from_pylist(self._loose(entries), schema=EVENTS))
            count += len(rows)
            if progress is not None:
                progress(count)
        return count

    def _loose(self, entries: Sequence[Entry]) -> list[dict[str, object]]:
        """Make the rows of the events that followed no decision."""
        rows = []
        for entry in entries:
            if entry.kind != "outcome" or entry.body["event"]["decision_id"]:
                continue
            event = OutcomeEvent.from_record(entry.body["event"])
            rows.append(
                {
                    "position": entry.position,
                    "at": event.at,
                    "customer": hash_customer(self._key, event.customer),
                    "event": event.outcome,
                    "properties": orjson.dumps(event.properties).decode(),
                }
            )
        return rows

    def _batches(self) -> Iterator[list[Entry]]:
        after = 0
        while entries := self._ledger.entries(after, _ROWS):
            yield entries
            after = entries[-1].position

    def _row(self, entry: Entry) -> dict[str, object]:
        try:
            decision = Decision.from_record(entry.body)
        except (LookupError, TypeError, ValueError) as error:
            raise LogError(f"entry {entry.position} of the ledger is no decision") from error
        events: list[OutcomeEvent] = self._ledger.find_events(decision.decision_id)
        revision = self._revision(decision.revision)
        return log_row(
            entry.position, decision, revision, events,
            now=self._now, key=self._key, arbitration=entry.body.get("arbitration"),
        )  # fmt: skip

    def _revision(self, revision_id: str) -> Revision:
        if revision_id not in self._revisions:
            source = self._ledger.find_revision(revision_id)
            if source is None:
                raise StateError(f"the ledger has lost revision {revision_id}")
            write_whole(self._folder / "revisions" / f"{revision_id}.json", source, _SHARED)
            self._revisions[revision_id] = Revision.from_source(source)
        return self._revisions[revision_id]
