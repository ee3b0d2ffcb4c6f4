"""The embedded ledger: SQLite in one writing process, durable at every commit.

WAL with synchronous=FULL, one write connection, and a file lock that refuses a second writer.
SQLite before 3.51.3 can corrupt a WAL that two connections reset at once, so the version is
checked at start; apsw brings its own SQLite.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Literal, Self

import apsw
import orjson

from agents.context import Contact
from agents.decisions import Decision, OutcomeEvent
from agents.errors import StateError
from serving.ledger.base import Entry, StoredDecision, StoredOutcome
from serving.ledger.sqlite_file import prepare, take_lock

_SAFE_SQLITE = 3_051_003
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_DECISION = "SELECT position, request, body FROM decision JOIN log USING (position) WHERE "
_FIND_DECISION = {"decision_id": _DECISION + "decision_id = ?", "key": _DECISION + "key = ?"}


def _micros(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _instant(micros: int) -> datetime:
    return _EPOCH + micros * _MICROSECOND


class SqliteReader:
    """A read-only view of an embedded ledger, safe beside the writer in another process."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._db = connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing ledger for reading.

        Raises:
            StateError: there is no such ledger.
        """
        try:
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            connection.set_busy_timeout(5_000)
            connection.execute("PRAGMA query_only=ON")
            connection.execute("SELECT 1 FROM log LIMIT 1").fetchall()
        except apsw.Error as error:
            raise StateError(f"expected a ledger at {path}: {error}") from error
        return cls(connection)

    def entries(self, after: int, limit: int) -> list[Entry]:
        """Return up to `limit` rows of the log with a position above `after`, in order."""
        rows = self._db.execute(
            "SELECT position, kind, body FROM log WHERE position > ? ORDER BY position LIMIT ?",
            (after, limit),
        )
        return [Entry(position, kind, orjson.loads(body)) for position, kind, body in rows]

    def find_decision(self, decision_id: str) -> StoredDecision | None:
        """Return a decision by its id."""
        return self._decision("decision_id", decision_id)

    def _decision(self, column: Literal["decision_id", "key"], value: str) -> StoredDecision | None:
        row = self._row(_FIND_DECISION[column], (value,))
        if row is None:
            return None
        position, request, body = row
        return StoredDecision(position, request, Decision.from_record(orjson.loads(body)))

    def find_events(self, decision_id: str) -> list[OutcomeEvent]:
        """Return all outcomes received for a decision, in order of commit."""
        rows = self._db.execute(
            "SELECT body FROM outcome JOIN log USING (position) WHERE decision_id = ?"
            " ORDER BY position",
            (decision_id,),
        )
        return [OutcomeEvent.from_record(orjson.loads(body)["event"]) for (body,) in rows]

    def find_revision(self, revision_id: str) -> bytes | None:
        """Return the source of a revision."""
        row = self._row("SELECT source FROM revision WHERE revision_id = ?", (revision_id,))
        return None if row is None else row[0]

    def active(self) -> dict[str, str]:
        """Return the id of the active revision of each agent."""
        return dict(self._db.execute("SELECT agent, revision_id FROM active ORDER BY agent"))

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _row(self, sql: str, values: tuple[Any, ...]) -> Any:
        return self._db.execute(sql, values).fetchone()


class SqliteLedger(SqliteReader):
    """The one writer of an embedded ledger; used by one thread at a time."""

    def __init__(self, connection: apsw.Connection, lock: IO[bytes]) -> None:
        super().__init__(connection)
        self._lock = lock
        row = self._row("SELECT coalesce(max(position), 0) FROM log", ())
        self._position: int = row[0]
        self._committed = self._position

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
                connection = apsw.Connection(str(path))
                undo.callback(connection.close)
                prepare(connection, path)
            except (OSError, apsw.Error) as error:
                raise StateError(f"the ledger {path} cannot be opened: {error}") from error
            undo.pop_all()
        return cls(connection, lock)

    def begin(self) -> None:
        """Open a transaction."""
        self._committed = self._position
        self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make the transaction durable; returns when it is on disk."""
        self._db.execute("COMMIT")

    def rollback(self) -> None:
        """Undo the transaction, if one is open."""
        self._position = self._committed
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what is inside if it raises, and nothing else of the transaction."""
        start = self._position
        self._db.execute("SAVEPOINT job")
        try:
            yield
        except BaseException:
            self._position = start
            self._db.execute("ROLLBACK TO job")
            raise
        finally:
            self._db.execute("RELEASE job")

    def find_by_key(self, key: str) -> StoredDecision | None:
        """Return the decision made under an idempotency key."""
        return self._decision("key", key)

    def find_outcome(self, outcome_id: str) -> StoredOutcome | None:
        """Return an outcome by its id."""
        row = self._row(
            "SELECT request, counted, body FROM outcome JOIN log USING (position)"
            " WHERE outcome_id = ?",
            (outcome_id,),
        )
        if row is None:
            return None
        event = OutcomeEvent.from_record(orjson.loads(row[2])["event"])
        return StoredOutcome(row[0], bool(row[1]), event)

    def contacts(self, customer: str, after: datetime) -> tuple[Contact, ...]:
        """Return a customer's contacts sent later than an instant, oldest first."""
        rows = self._db.execute(
            "SELECT at, agent, offer, kind, channel, action FROM contact"
            " WHERE customer = ? AND at > ? ORDER BY at, decision_id",
            (customer, _micros(after)),
        )
        return tuple(Contact(_instant(at), *names) for at, *names in rows)

    def find_yaml(self, revision_id: str) -> str | None:
        """Return the YAML that a revision was submitted as."""
        row = self._row("SELECT yaml FROM revision WHERE revision_id = ?", (revision_id,))
        return None if row is None else row[0]

    def add_decision(
        self, decision: Decision, contact: Contact | None, *, key: str | None, request: bytes
    ) -> int:
        """Append a decision and its contact; return its position."""
        position = self._append("decision", decision.to_record())
        self._db.execute(
            "INSERT INTO decision VALUES (?, ?, ?, ?)",
            (decision.decision_id, key, request, position),
        )
        if contact is not None:
            self._db.execute(
                "INSERT INTO contact VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    decision.context.customer,
                    _micros(contact.at),
                    decision.decision_id,
                    contact.agent,
                    contact.offer,
                    contact.kind,
                    contact.channel,
                    contact.action,
                ),
            )
        return position

    def add_outcome(self, event: OutcomeEvent, *, counted: bool, request: bytes) -> int:
        """Append an outcome; return its position."""
        position = self._append("outcome", {"event": event.to_record(), "counted": counted})
        self._db.execute(
            "INSERT INTO outcome VALUES (?, ?, ?, ?, ?)",
            (event.outcome_id, event.decision_id, int(counted), request, position),
        )
        return position

    def activate(self, agent: str, revision_id: str, *, yaml: str, source: bytes) -> int:
        """Store a revision and make it the agent's active one; return the log's position."""
        self._db.execute(
            "INSERT INTO revision VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (revision_id, agent, yaml, source),
        )
        self._db.execute(
            "INSERT INTO active VALUES (?, ?)"
            " ON CONFLICT (agent) DO UPDATE SET revision_id = excluded.revision_id",
            (agent, revision_id),
        )
        return self._append("revision", {"agent": agent, "revision": revision_id})

    def note(self, name: str, value: str | None = None) -> str | None:
        """Return a named note of the server to itself; with a value, set it first."""
        if value is not None:
            self._db.execute(
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

    def _append(self, kind: str, body: dict[str, Any]) -> int:
        self._position += 1
        self._db.execute(
            "INSERT INTO log VALUES (?, ?, ?)", (self._position, kind, orjson.dumps(body))
        )
        return self._position
