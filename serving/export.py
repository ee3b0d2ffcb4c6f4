"""From the ledger to Parquet: the log that researchers read, in closed files.

A folder holds `decisions.parquet` in the schema of `agents.log`, and `revisions/ID.json`, the
source of every revision that decided, so contexts and masks can be rebuilt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq

from agents.decisions import Decision, OutcomeEvent
from agents.errors import LogError, StateError
from agents.log import SCHEMA, log_row, log_table
from agents.revision import Revision
from serving.files import whole_file, write_whole
from serving.ledger import Entry, LedgerReader, SqliteReader
from serving.settings import Settings, load_keys

_ROWS = 5_000
_SHARED = 0o666  # the log is made to be read by others

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
        (self._folder / "revisions").mkdir(parents=True, exist_ok=True)
        target = self._folder / "decisions.parquet"
        with whole_file(target, _SHARED) as temporary, self._ledger.still():
            return self._write_rows(temporary, progress)

    def _write_rows(self, file: Path, progress: Progress | None) -> int:
        count = 0
        with pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
            for entries in self._batches():
                rows = [self._row(entry) for entry in entries if entry.kind == "decision"]
                writer.write_table(log_table(rows))
                count += len(rows)
                if progress is not None:
                    progress(count)
        return count

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
        return log_row(entry.position, decision, revision, events, now=self._now, key=self._key)

    def _revision(self, revision_id: str) -> Revision:
        if revision_id not in self._revisions:
            source = self._ledger.find_revision(revision_id)
            if source is None:
                raise StateError(f"the ledger has lost revision {revision_id}")
            write_whole(self._folder / "revisions" / f"{revision_id}.json", source, _SHARED)
            self._revisions[revision_id] = Revision.from_source(source)
        return self._revisions[revision_id]
