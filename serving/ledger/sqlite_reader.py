"""Reading an embedded ledger, beside its writer and in any process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self

import apsw
import orjson

from agents.context import Contact, PastEvent
from agents.counters import Reading
from agents.decisions import Decision, OutcomeEvent
from agents.errors import StateError
from agents.units import parse_instant
from serving.ledger.base import Entry, StoredDecision
from serving.ledger.sqlite_file import check_version

_DECISION = "SELECT position, request, body FROM decision JOIN log USING (position) WHERE "
_FIND_DECISION = {"decision_id": _DECISION + "decision_id = ?", "key": _DECISION + "key = ?"}
_CONTACTS = "SELECT at, agent, offer, kind, channel, action, includes, decision_id FROM contact"
_EVENTS = "SELECT at, event, decision_id, agent, offer, kind, channel, action, includes FROM event"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(instant: datetime) -> int:
    """Return an instant as the ledger stores it: whole microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the instant (UTC) of `to_micros`."""
    return _EPOCH + micros * _MICROSECOND


def _names(stored: str) -> tuple[str, ...]:
    return tuple(stored.split())


def _contact(at: int, *names: str) -> Contact:
    agent, offer, kind, channel, action, includes, made_by = names
    return Contact(from_micros(at), agent, offer, kind, channel, action, _names(includes), made_by)


def _past_event(at: int, event: str, *names: str) -> PastEvent:
    decision_id, agent, offer, kind, channel, action, includes = names
    return PastEvent(
        from_micros(at), event, decision_id, agent, offer, kind, channel, action, _names(includes)
    )


def _body(stored: bytes) -> Mapping[str, Any]:
    """Read a record; what is no JSON object is an empty one, so its reader finds nothing in it."""
    try:
        body = orjson.loads(stored)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


class SqliteReader:
    """A read-only view of an embedded ledger, safe beside the writer in another process."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._db = connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing ledger for reading.

        Raises:
            StateError: there is no such ledger, or it is of another version.
        """
        connection: apsw.Connection | None = None
        try:
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            connection.set_busy_timeout(5_000)
            connection.execute("PRAGMA query_only=ON")
            connection.execute("SELECT 1 FROM log LIMIT 1").fetchall()
            check_version(connection, path)
        except (apsw.Error, StateError) as error:
            if connection is not None:
                connection.close()
            if isinstance(error, StateError):
                raise
            raise StateError(f"expected a ledger at {path}: {error}") from error
        return cls(connection)

    @contextmanager
    def still(self) -> Iterator[None]:
        """Read everything inside as it stands at the first reading, whatever is written beside."""
        self._rows("BEGIN")
        try:
            yield
        finally:
            self._rows("COMMIT")

    def entries(self, after: int, limit: int) -> list[Entry]:
        """Return up to `limit` rows of the log with a position above `after`, in order."""
        rows = self._rows(
            "SELECT position, kind, body FROM log WHERE position > ? ORDER BY position LIMIT ?",
            (after, limit),
        )
        return [Entry(position, kind, _body(body)) for position, kind, body in rows]

    def last_position(self) -> int:
        """Return the position of the newest row of the log, 0 if there is none."""
        return int(self._row("SELECT coalesce(max(position), 0) FROM log")[0])

    def last_instant(self) -> datetime | None:
        """Return the instant of the newest decision or outcome."""
        row = self._row(
            "SELECT body FROM log WHERE kind <> 'revision' ORDER BY position DESC LIMIT 1"
        )
        body = {} if row is None else _body(row[0])
        at = body.get("event", body).get("at")
        return None if at is None else parse_instant(at)

    def find_decision(self, decision_id: str) -> StoredDecision | None:
        """Return a decision by its id."""
        return self._decision("decision_id", decision_id)

    def _decision(self, column: Literal["decision_id", "key"], value: str) -> StoredDecision | None:
        row = self._row(_FIND_DECISION[column], (value,))
        if row is None:
            return None
        position, request, body = row
        record = orjson.loads(body)
        decision = Decision.from_record(record)
        return StoredDecision(position, request, decision, record.get("arbitration"))

    def find_events(self, decision_id: str) -> list[OutcomeEvent]:
        """Return all outcomes received for a decision, in order of commit."""
        rows = self._rows(
            "SELECT body FROM outcome JOIN log USING (position) WHERE decision_id = ?"
            " ORDER BY position",
            (decision_id,),
        )
        return [OutcomeEvent.from_record(orjson.loads(body)["event"]) for (body,) in rows]

    def contacts(self, customer: str, after: datetime) -> tuple[Contact, ...]:
        """Return a customer's contacts sent later than an instant, oldest first."""
        where = " WHERE customer = ? AND at > ? ORDER BY at, position"
        rows = self._rows(_CONTACTS + where, (customer, to_micros(after)))
        return tuple(_contact(*row) for row in rows)

    def sent(self, agent: str, after: int) -> list[Contact]:
        """Return an agent's contacts committed later than a position, in order of commit."""
        where = " WHERE agent = ? AND position > ? ORDER BY position"
        return [_contact(*row) for row in self._rows(_CONTACTS + where, (agent, after))]

    def heard(self, agent: str, words: Iterable[str], after: int) -> list[PastEvent]:
        """Return events of some words that followed an agent's contacts, later than a position."""
        wanted = frozenset(words)
        where = " WHERE agent = ? AND position > ? ORDER BY position"
        rows = self._rows(_EVENTS + where, (agent, after))
        return [_past_event(*row) for row in rows if row[1] in wanted]

    def events(
        self, customer: str, words: Iterable[str], after: datetime, until: datetime
    ) -> tuple[PastEvent, ...]:
        """Return a customer's events of some words, later than `after`, oldest first."""
        wanted = frozenset(words)
        if not wanted:
            return ()
        where = " WHERE customer = ? AND at > ? AND at <= ? ORDER BY at, position"
        rows = self._rows(_EVENTS + where, (customer, to_micros(after), to_micros(until)))
        return tuple(_past_event(*row) for row in rows if row[1] in wanted)

    def used(self, reading: Reading) -> float:
        """Return the sum of a counter's buckets, first and last inclusive."""
        row = self._row(
            "SELECT coalesce(sum(amount), 0.0) FROM usage"
            " WHERE counter = ? AND bucket BETWEEN ? AND ?",
            reading,
        )
        return float(row[0])

    def find_revision(self, revision_id: str) -> bytes | None:
        """Return the source of a revision."""
        row = self._row("SELECT source FROM revision WHERE revision_id = ?", (revision_id,))
        return None if row is None else row[0]

    def active(self) -> dict[str, str]:
        """Return the id of the active revision of each agent."""
        return dict(self._rows("SELECT agent, revision_id FROM active ORDER BY agent"))

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _row(self, sql: str, values: tuple[Any, ...] = ()) -> Any:
        return next(iter(self._rows(sql, values)), None)

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """Run one statement.

        Raises:
            StateError: the database cannot do it now.
        """
        try:
            return self._db.execute(sql, values).fetchall()
        except apsw.Error as error:
            raise StateError(f"the ledger cannot be used now: {error}") from error
