"""The shared ledger: PostgreSQL, for as many replicas as there are.

Whoever appends holds one lock of the database from its first reading to its commit, so positions
have no gaps and come in the order of commit, and no mask is computed from a state that another
replica is changing; what is done ahead of the lock is checked under it (`optimistic`). Inside,
journeys are few: what jobs are about to ask is asked at once, and what they write is sent with the
commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql

from agents.errors import StateError
from serving.ledger.database import Moment, RefusedError, Row, Statement, from_micros, to_micros
from serving.ledger.foreseen import Foreseen, table_written
from serving.ledger.log import LAST_POSITION
from serving.ledger.persons import PERSONAL
from serving.ledger.postgres_link import Link
from serving.ledger.postgres_merge import merged
from serving.ledger.waiting import Wait, at_once, wait_here, wait_on_loop

_APPEND_LOCK = 730_833_400  # any number that no other program of this database uses
STATE: tuple[Statement, ...] = (
    (LAST_POSITION, ()),
    ("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint", ()),
    ("SELECT value FROM note WHERE name = ?", ("clock",)),
)
BEGIN: tuple[Statement, ...] = (
    ("BEGIN ISOLATION LEVEL READ COMMITTED", ()),
    ("SELECT pg_advisory_xact_lock(?, hashtext(current_schema()))::text", (_APPEND_LOCK,)),
    *STATE,
)
_STILL = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_KEEP_CLOCK = (
    "INSERT INTO note VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


@dataclass(slots=True, eq=False)
class _Savepoint:
    """An open savepoint: where its writes start, and whether the database knows of it."""

    name: str
    start: int
    sent: bool = False


class PostgresDatabase:
    """A connection to PostgreSQL that is made anew when it was lost.

    Args:
        url: as of `Link`.
        writing: whether it is to write.

    Raises:
        StateError: the database cannot be used.
    """

    remote = True

    def __init__(self, url: str, *, writing: bool) -> None:
        self._url = url
        self._writing = writing
        self._link = Link(url, writing=writing)
        self._foreseen = Foreseen()
        self._writes: list[Statement] = []
        self._changes = 0
        self._savepoints: list[_Savepoint] = []  # that are open, the outermost first
        self._opening: tuple[Statement, ...] = ()  # of a transaction that opens with its commit
        self.moment: Moment | None = None

    @property
    def changes(self) -> int:
        """A number that is another once a row was written; -1 outside of a transaction."""
        return self._changes if self._link.in_transaction else -1

    def foresee(self, statements: Iterable[Statement]) -> None:
        """Ask at once what is going to be asked; texts in it are compared for equality only."""
        asked = [each for each in statements if self._foreseen.get(*each) is None]
        if asked:
            for (sql, values), rows in zip(asked, self._send(asked), strict=True):
                self._foreseen.add(sql, values, rows)

    def rows(self, sql: str, values: Row = ()) -> list[Row]:
        """Run a statement and return its rows, which may have come in advance."""
        waiting = self._foreseen.get(sql, values)
        if waiting is not None:
            return waiting
        if table_written(sql) is not None:
            self._foreseen.forget(sql, values)
        return self._send([(sql, values)], writes=table_written(sql) is not None)[0]

    def run(self, sql: str, values: Row = ()) -> None:
        """Keep a statement that returns nothing until the next journey."""
        self._changes += 1
        self._foreseen.forget(sql, values)
        self._writes.append((sql, values))

    def run_many(self, sql: str, rows: Sequence[Row]) -> None:
        """Keep a statement for each row of values until the next journey."""
        for values in rows:
            self.run(sql, values)

    def begin(self) -> None:
        """Open a transaction that nobody else writes beside; connect anew if need be."""
        self._forget_all()
        self._connect()
        *_, last, time, clock = self._link.exchange(BEGIN)
        self._foreseen.add(LAST_POSITION, (), last)
        self._set_moment(time, clock)

    def _set_moment(self, time: list[Row], clock: list[Row]) -> None:
        seen = int(clock[0][0]) if clock else 0
        self.moment = Moment(from_micros(time[0][0]), from_micros(seen))

    def commit(self) -> None:
        """Do as `committing` does; this thread waits."""
        at_once(self.committing(wait_here))

    async def committing(self, wait: Wait = wait_on_loop) -> None:
        """Send what was written and make the transaction durable.

        Args:
            wait: how to.

        Raises:
            RefusedError: a statement was refused; nothing is kept.
            LostError: the connection was lost; whether it is kept is not known.
        """
        self._require_transaction()
        if self._writes and self.moment is not None:
            self._writes.append((_KEEP_CLOCK, ("clock", str(to_micros(max(self.moment))))))
        try:
            sent = [*self._opening, *merged(self._writes), ("COMMIT", ())]
            await self._link.journey(sent, wait)
        finally:
            self._forget_all()

    def rollback(self) -> None:
        """Undo the transaction, if one is open."""
        self._forget_all()
        if self._link.in_transaction:
            self._link.exchange([("ROLLBACK", ())])

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what is inside if it raises, and nothing else of the transaction.

        What was not sent yet is left out; the database hears of a savepoint only if writes inside
        have to be sent before its end.

        Raises:
            RefusedError: there is no transaction any more.
        """
        self._require_transaction()
        savepoint = _Savepoint(f"job{len(self._savepoints)}", len(self._writes))
        self._savepoints.append(savepoint)
        try:
            yield
        except BaseException:
            self._undo(savepoint)
            raise
        if savepoint in self._savepoints:
            self._savepoints.remove(savepoint)
            if savepoint.sent:
                self._writes.append((f"RELEASE SAVEPOINT {savepoint.name}", ()))

    def _undo(self, savepoint: _Savepoint) -> None:
        """Undo an open savepoint; if that fails, the whole transaction."""
        if savepoint not in self._savepoints:
            return  # undone with its transaction
        del self._savepoints[self._savepoints.index(savepoint) :]
        del self._writes[savepoint.start :]
        if savepoint.sent:
            undo = (
                f"ROLLBACK TO SAVEPOINT {savepoint.name}",
                f"RELEASE SAVEPOINT {savepoint.name}",
            )
            try:
                self._link.exchange([(each, ()) for each in undo])
            except StateError:
                with suppress(StateError):
                    self.rollback()

    @contextmanager
    def still(self) -> Iterator[None]:
        """Read everything inside as it stands at the first reading, whatever is written beside."""
        self._connect()
        self._link.exchange([(_STILL, ())])
        try:
            yield
        finally:
            if self._link.in_transaction:
                self._link.exchange([("ROLLBACK", ())])

    def scrub(self, *, whole: bool) -> bool:
        """Vacuum what customers are in, over a connection of its own: it is no transaction.

        What was removed is then gone from the tables; pages that are free now, the write-ahead log
        and backups hold it until they are used again. Written anew as a whole, which locks the
        tables, no page does.
        """
        how = "VACUUM (FULL)" if whole else "VACUUM"
        try:
            with psycopg.connect(self._url, autocommit=True) as connection:
                connection.execute(sql.SQL(f"{how} {', '.join(PERSONAL)}"))
        except psycopg.Error as error:
            raise StateError(f"the ledger cannot be vacuumed now: {type(error).__name__}") from None
        return True

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def _connect(self) -> None:
        if not self._link.open:
            self._link = Link(self._url, writing=self._writing)

    def _send(self, asked: Sequence[Statement], *, writes: bool = False) -> list[list[Row]]:
        """Send what was kept, then what is asked; return the rows of what is asked."""
        if not self._writing and not self._link.in_transaction:
            self._connect()
        kept, self._writes = self._writes, []
        if self._savepoints and (writes or len(kept) > self._savepoints[0].start):
            kept = self._with_savepoints(kept)
        for savepoint in self._savepoints:
            savepoint.start = 0
        answers = self._link.exchange([*merged(kept), *asked])
        return answers[len(answers) - len(asked) :]

    def _with_savepoints(self, kept: list[Statement]) -> list[Statement]:
        """Put each savepoint that the database does not know before the first of its writes."""
        for savepoint in reversed(self._savepoints):
            if not savepoint.sent:
                kept.insert(savepoint.start, (f"SAVEPOINT {savepoint.name}", ()))
                savepoint.sent = True
        return kept

    def _require_transaction(self) -> None:
        if not self._link.in_transaction or self._link.failed:
            raise RefusedError("the transaction was undone; nothing of it is kept", own_fault=True)

    def _forget_all(self) -> None:
        self._foreseen.clear()
        self._writes = []
        self._savepoints = []
        self._opening = ()
