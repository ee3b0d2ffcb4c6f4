"""The embedded ledger: SQLite in one writing process, durable at every commit.

WAL with synchronous=FULL, one write connection, and a file lock that refuses a second writer.
SQLite before 3.51.3 can corrupt a WAL that two connections reset at once, so the version is
checked at start; apsw brings its own SQLite.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Self

import apsw
import orjson

from agents.context import Contact, PastEvent
from agents.counters import Charge
from agents.decisions import Decision, OutcomeEvent
from agents.errors import StateError
from serving.ledger.base import StoredDecision, StoredOutcome
from serving.ledger.sqlite_file import make_private, prepare, take_lock
from serving.ledger.sqlite_reader import SqliteReader, to_micros

_SAFE_SQLITE = 3_051_003


class SqliteLedger(SqliteReader):
    """The one writer of an embedded ledger; used by one thread at a time."""

    def __init__(self, connection: apsw.Connection, lock: IO[bytes]) -> None:
        super().__init__(connection)
        self._lock = lock
        self._position = self.last_position()

    @classmethod
    def open(cls, path: Path, *, wait_s: float = 15.0) -> Self:
        """Open or make a ledger for writing; wait a little for a predecessor to let go.

        Args:
            path: of the SQLite file; the lock stands beside it.
            wait_s: seconds to wait for the lock at most.

        Raises:
            StateError: another process writes to it, SQLite is too old, the file is no ledger of
                this version, or it cannot be written.
        """
        if apsw.SQLITE_VERSION_NUMBER < _SAFE_SQLITE:
            raise StateError(f"expected SQLite 3.51.3 or later, got {apsw.sqlite_lib_version()}")
        with ExitStack() as undo:
            try:
                lock = undo.enter_context(take_lock(path.with_suffix(".lock"), wait_s))
                make_private(path)
                connection = apsw.Connection(str(path))
                undo.callback(connection.close)
                prepare(connection, path)
                ledger = cls(connection, lock)
            except (OSError, apsw.Error) as error:
                raise StateError(f"the ledger {path} cannot be opened: {error}") from error
            undo.pop_all()
        return ledger

    def begin(self) -> None:
        """Open a transaction; the remains of one that could not be undone are undone first."""
        self.rollback()
        self._rows("BEGIN IMMEDIATE")
        self._position = self.last_position()

    def commit(self) -> None:
        """Make the transaction durable; returns when it is on disk."""
        self._rows("COMMIT")

    def rollback(self) -> None:
        """Undo the transaction, if one is open."""
        if self._db.in_transaction:
            self._rows("ROLLBACK")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what is inside if it raises, and nothing else of the transaction.

        Raises:
            StateError: there is no transaction, as after a full disk, when SQLite undoes the
                whole; a savepoint would then open one of its own and commit it.
        """
        if not self._db.in_transaction:
            raise StateError("the transaction was undone; nothing of it is kept")
        start = self._position
        self._rows("SAVEPOINT job")
        try:
            yield
            self._rows("RELEASE job")
        except BaseException:
            self._position = start
            self._undo_job()
            raise

    def _undo_job(self) -> None:
        """Undo the open savepoint; if that fails, the whole transaction."""
        try:
            self._rows("ROLLBACK TO job")
            self._rows("RELEASE job")
        except StateError:
            self.rollback()

    def find_by_key(self, key: str) -> StoredDecision | None:
        """Return the decision made under an idempotency key."""
        return self._decision("key", key)

    def find_outcome(self, outcome_id: str) -> StoredOutcome | None:
        """Return an outcome by its id."""
        row = self._row(
            "SELECT request, body FROM outcome JOIN log USING (position) WHERE outcome_id = ?",
            (outcome_id,),
        )
        if row is None:
            return None
        body = orjson.loads(row[1])
        event = OutcomeEvent.from_record(body["event"])
        return StoredOutcome(row[0], tuple(body["counted"]), event)

    def active_revision(self, agent: str) -> str | None:
        """Return the id of an agent's active revision."""
        row = self._row("SELECT revision_id FROM active WHERE agent = ?", (agent,))
        return None if row is None else row[0]

    def find_yaml(self, revision_id: str) -> str | None:
        """Return the YAML that a revision was submitted as."""
        row = self._row("SELECT yaml FROM revision WHERE revision_id = ?", (revision_id,))
        return None if row is None else row[0]

    def add_decision(
        self,
        decision: Decision,
        contact: Contact | None,
        *,
        key: str | None,
        request: bytes,
        closes: datetime,
        arbitration: Mapping[str, Any] | None = None,
    ) -> int:
        """Append a decision and its contact; return its position."""
        record = decision.to_record()
        if arbitration is not None:
            record["arbitration"] = arbitration
        aged_from = decision.at if contact is None else contact.at
        position = self._append("decision", record, aged_from, closes)
        self._rows(
            "INSERT INTO decision VALUES (?, ?, ?, ?)",
            (decision.decision_id, key, request, position),
        )
        if contact is not None:
            self._rows(
                "INSERT INTO contact VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    decision.context.customer, to_micros(contact.at), position,
                    decision.decision_id, contact.agent, contact.offer, contact.kind,
                    contact.channel, contact.action, " ".join(contact.includes),
                ),
            )  # fmt: skip
        return position

    def add_outcome(
        self,
        event: OutcomeEvent,
        past: PastEvent,
        *,
        counted: Iterable[str],
        request: bytes,
        closes: datetime,
    ) -> int:
        """Append an outcome, and what later decisions remember of it; return its position."""
        body = {"event": event.to_record(), "counted": list(counted)}
        position = self._append("outcome", body, event.at, closes)
        self._rows(
            "INSERT INTO outcome VALUES (?, ?, ?, ?)",
            (event.outcome_id, event.decision_id, request, position),
        )
        self._rows(
            "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                event.customer, to_micros(past.at), position, past.event, past.decision_id,
                past.agent, past.offer, past.kind, past.channel, past.action,
                " ".join(past.includes),
            ),
        )  # fmt: skip
        return position

    def charge(self, charges: Iterable[Charge]) -> None:
        """Add to the organisation's counters."""
        for charge in charges:
            self._rows(
                "INSERT INTO usage VALUES (?, ?, ?)"
                " ON CONFLICT (counter, bucket) DO UPDATE SET amount = amount + excluded.amount",
                charge,
            )

    def prune(self, before: datetime, now: datetime, *, until: int, limit: int) -> int:
        """Remove the oldest decisions and outcomes with all that was indexed of them."""
        rows = self._rows(
            "DELETE FROM log WHERE position IN ("
            " SELECT position FROM log WHERE at < ? AND closes <= ? AND position <= ?"
            " AND position < (SELECT max(position) FROM log) ORDER BY at LIMIT ?"
            ") RETURNING position",
            (to_micros(before), to_micros(now), until, limit),
        )
        return len(rows)

    def prune_usage(self, first: Mapping[str, int]) -> int:
        """Remove what lies before the first bucket of each counter; return how much it was."""
        sql = "DELETE FROM usage WHERE counter = ? AND bucket < ? RETURNING bucket"
        return sum(len(self._rows(sql, counter)) for counter in first.items())

    def activate(self, agent: str, revision_id: str, *, yaml: str, source: bytes) -> int:
        """Store a revision and make it the agent's active one; return the log's position."""
        self._rows(
            "INSERT INTO revision VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (revision_id, agent, yaml, source),
        )
        self._rows(
            "INSERT INTO active VALUES (?, ?)"
            " ON CONFLICT (agent) DO UPDATE SET revision_id = excluded.revision_id",
            (agent, revision_id),
        )
        return self._append("revision", {"agent": agent, "revision": revision_id})

    def note(self, name: str, value: str | None = None) -> str | None:
        """Return a named note of the server to itself; with a value, set it first."""
        if value is not None:
            self._rows(
                "INSERT INTO note VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (name, value),
            )
        row = self._row("SELECT value FROM note WHERE name = ?", (name,))
        return None if row is None else row[0]

    def close(self) -> None:
        """Close the connection and let the next writer in."""
        super().close()
        self._lock.close()

    def _append(
        self,
        kind: str,
        body: Mapping[str, Any],
        at: datetime | None = None,
        closes: datetime | None = None,
    ) -> int:
        self._position += 1
        times = (None if instant is None else to_micros(instant) for instant in (at, closes))
        self._rows(
            "INSERT INTO log VALUES (?, ?, ?, ?, ?)",
            (self._position, kind, *times, orjson.dumps(body)),
        )
        return self._position
