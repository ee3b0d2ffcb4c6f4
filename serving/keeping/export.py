"""From the ledger to Parquet: the log that researchers read, in closed files.

A folder holds `decisions.parquet` in the schema of `agents.log`; `revisions/ID.json`, the source of
every revision that decided, so contexts and masks can be rebuilt; and `events/events.parquet`, what
customers did that followed no decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from agents.corrections import corrected
from agents.decisions import Decision, OutcomeEvent
from agents.errors import LogError, StateError
from agents.log import SCHEMA, hash_customer, log_row, log_table
from agents.revision import Revision
from agents.rewards import closes_at
from serving.files import whole_file, write_whole
from serving.ledger import Entry, LedgerReader, open_reader
from serving.ledger.corrections import StoredCorrection, retracted_record
from serving.ledger.deliveries import Delivery
from serving.settings import Settings, load_keys

_ROWS = 5_000

SHARED = 0o666
"""Permissions of a log, less the umask: it is made to be read by others."""

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
    ledger = open_reader(settings)
    try:
        key = load_keys(settings.data).customer
        return _write(ledger, LogRows(ledger, folder, key, now), folder, progress)
    except OSError as error:
        raise StateError(f"the log cannot be written to {folder}: {error}") from error
    finally:
        ledger.close()


@dataclass(frozen=True, slots=True)
class _Told:
    """What was said of some decisions since: of their contacts, and of their outcomes."""

    deliveries: Mapping[str, Delivery]
    corrections: Mapping[str, Sequence[StoredCorrection]]


class LogRows:
    """Makes rows of a log from entries of the ledger, and keeps the revisions beside them.

    Args:
        ledger: read as it stands.
        folder: of the log; revisions are written to its folder of that name.
        key: hashes customers' ids.
        now: the ledger's time; decisions whose windows end later are marked open.
    """

    def __init__(self, ledger: LedgerReader, folder: Path, key: bytes, now: datetime) -> None:
        self._ledger = ledger
        self._folder = folder
        self._key = key
        self._now = now
        self._revisions: dict[str, Revision] = {}
        for name in ("revisions", "events"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def decisions(self, entries: Sequence[Entry]) -> list[dict[str, object]]:
        """Make the rows of decisions, in the schema of `agents.log`.

        Raises:
            LogError: an entry is damaged.
            StateError: the ledger has lost a revision.
        """
        made = [entry for entry in entries if entry.kind == "decision"]
        if not made:
            return []
        first, last = made[0].position, made[-1].position
        told = _Told(
            self._ledger.deliveries_within(first, last),
            self._ledger.corrections_within(first, last),
        )
        return [self._row(entry, told) for entry in made]

    def loose(self, entries: Sequence[Entry]) -> list[dict[str, object]]:
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

    def closes(self, row: Mapping[str, Any]) -> datetime:
        """Return when the last outcome window of a row's decision ends (UTC)."""
        return closes_at(self._revision(row["revision"]).agent, row["at"])

    def _row(self, entry: Entry, told: _Told) -> dict[str, object]:
        try:
            decision = Decision.from_record(entry.body)
        except (LookupError, TypeError, ValueError) as error:
            raise LogError(f"entry {entry.position} of the ledger is no decision") from error
        said = told.corrections.get(decision.decision_id, [])
        delivery = told.deliveries.get(decision.decision_id)
        ended = delivery.changed if delivery is not None and delivery.given_back else None
        events = self._ledger.find_events(decision.decision_id)
        return log_row(
            entry.position, decision, self._revision(decision.revision),
            corrected(events, [each.correction for each in said]),
            now=self._now, key=self._key, arbitration=entry.body.get("arbitration"),
            state=None if delivery is None else delivery.state, given_back=ended,
            late=_late(delivery),
            retracted=retracted_record(said),
        )  # fmt: skip

    def _revision(self, revision_id: str) -> Revision:
        if revision_id not in self._revisions:
            source = self._ledger.find_revision(revision_id)
            if source is None:
                raise StateError(f"the ledger has lost revision {revision_id}")
            write_whole(self._folder / "revisions" / f"{revision_id}.json", source, SHARED)
            self._revisions[revision_id] = Revision.from_source(source)
        return self._revisions[revision_id]


def _late(delivery: Delivery | None) -> dict[str, object] | None:
    """Say when a contact was made if that was later than planned, and the position from which."""
    if delivery is None or delivery.late is None:
        return None
    return {"at": delivery.late, "position": delivery.changed}


def _write(ledger: LedgerReader, rows: LogRows, folder: Path, progress: Progress | None) -> int:
    with ExitStack() as files, ledger.still():
        decisions, events = (
            files.enter_context(
                pq.ParquetWriter(
                    files.enter_context(whole_file(folder / name, SHARED)),
                    schema,
                    compression="zstd",
                )
            )
            for name, schema in (("decisions.parquet", SCHEMA), ("events/events.parquet", EVENTS))
        )
        count = 0
        for entries in _batches(ledger):
            made = rows.decisions(entries)
            decisions.write_table(log_table(made))
            events.write_table(pa.Table.from_pylist(rows.loose(entries), schema=EVENTS))
            count += len(made)
            if progress is not None:
                progress(count)
        return count


def _batches(ledger: LedgerReader) -> Iterator[list[Entry]]:
    after = 0
    while entries := ledger.entries(after, _ROWS):
        yield entries
        after = entries[-1].position
