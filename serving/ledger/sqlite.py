"""The embedded ledger: SQLite in one writing process, durable at every commit.

WAL with synchronous=FULL, one write connection, and a file lock that refuses a second writer.
SQLite before 3.51.3 can corrupt a WAL that two connections reset at once, so the version is
checked at start; apsw brings its own SQLite.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Self

import apsw

from agents.errors import StateError
from serving.ledger.base import Ledger, LedgerReader
from serving.ledger.database import LostError, Moment, Row, Statement
from serving.ledger.sqlite_file import check_version, make_private, prepare, take_lock

_SAFE_SQLITE = 3_051_003
_ATTEMPTS = 3  # each waits for readers as long as the connection's busy timeout says

MOST_SCRUBBED = 256 * 2**20
"""Bytes of a file that is written anew while the server waits: about two seconds."""


class SqliteDatabase:
    """A connection to an SQLite file.

    Args:
        connection: prepared as `sqlite_file` does.
        lock: held by the one writer, None for a reader.
    """

    remote = False
    moment: Moment | None = None  # this machine's clock will do

    def __init__(self, connection: apsw.Connection, lock: IO[bytes] | None = None) -> None:
        self.connection = connection
        self._cursor = connection.cursor()  # one for all: made anew, it costs as much as an answer
        self._lock = lock
        self._doubtful = False  # whether a sync has failed since the log was copied

    @property
    def changes(self) -> int:
        """A number that is another once a row was written; -1 outside of a transaction."""
        return self.connection.total_changes() if self.connection.in_transaction else -1

    def foresee(self, statements: Iterable[Statement]) -> None:
        """Do nothing: an answer is no journey away."""

    def rows(self, sql: str, values: Row = ()) -> list[Row]:
        """Run a statement and return its rows.

        Raises:
            StateError: the database cannot do it now.
        """
        try:
            return self._cursor.execute(sql, values).fetchall()
        except apsw.Error as error:
            raise StateError(f"the ledger cannot be used now: {error}") from error

    def run(self, sql: str, values: Row = ()) -> None:
        """Run a statement that returns nothing, inside a transaction.

        Raises:
            StateError: the database cannot do it now, or has undone the transaction, as after a
                full disk; what came now would be committed alone.
        """
        self._require_transaction()
        self._do(sql, values)

    def _do(self, sql: str, values: Row = ()) -> None:
        try:
            self._cursor.execute(sql, values)
        except apsw.Error as error:
            raise StateError(f"the ledger cannot be used now: {error}") from error

    def _require_transaction(self) -> None:
        if not self.connection.in_transaction:
            raise StateError("the transaction was undone; nothing of it is kept")

    def run_many(self, sql: str, rows: Sequence[Row]) -> None:
        """Run a statement that returns nothing once for each row of values.

        Raises:
            StateError: the database cannot do it now.
        """
        self._require_transaction()
        try:
            self.connection.executemany(sql, rows)
        except apsw.Error as error:
            raise StateError(f"the ledger cannot be used now: {error}") from error

    def begin(self) -> None:
        """Open a transaction that nobody else writes beside."""
        if self._doubtful:
            self._copy_log()
        self._do("BEGIN IMMEDIATE")

    def _copy_log(self) -> None:
        """Copy all that is committed from the write-ahead log into the file, and sync the file.

        After a sync has failed, the system takes what was to be synced for clean: the next sync of
        the log says nothing of it. So the log is not relied on until a copy of it is safe.
        """
        _, frames, copied = self.rows("PRAGMA wal_checkpoint(PASSIVE)")[0]
        if copied < frames:
            raise StateError(
                "the ledger cannot be used now: a sync of its log has failed, and a reader keeps"
                " the log from being copied; ask again later"
            )
        self._doubtful = False

    def commit(self) -> None:
        """Make the transaction durable; returns when it is on disk.

        Raises:
            LostError: the disk could not sync; whoever opens the ledger after a crash may find
                the transaction, whole, or may not. Until then nobody sees it.
            StateError: another error; nothing is kept.
        """
        try:
            self._cursor.execute("COMMIT")
        except apsw.Error as error:
            if getattr(error, "extendedresult", 0) != apsw.SQLITE_IOERR_FSYNC:
                raise StateError(f"the ledger cannot be used now: {error}") from error
            self._doubtful = True
            raise LostError(
                f"the disk could not sync a commit ({error}); whether it will be kept is not known:"
                " ask again with the same key or id"
            ) from error

    def rollback(self) -> None:
        """Undo the transaction, if one is open."""
        if self.connection.in_transaction:
            self._do("ROLLBACK")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what is inside if it raises, and nothing else of the transaction.

        Raises:
            StateError: there is no transaction, as after a full disk, when SQLite undoes the
                whole; a savepoint would then open one of its own and commit it.
        """
        self._require_transaction()
        self._do("SAVEPOINT job")
        try:
            yield
            self._do("RELEASE job")
        except BaseException:
            self._undo_job()
            raise

    def _undo_job(self) -> None:
        """Undo the open savepoint; if that fails, the whole transaction."""
        try:
            self._do("ROLLBACK TO job")
            self._do("RELEASE job")
        except StateError:
            self.rollback()

    @contextmanager
    def still(self) -> Iterator[None]:
        """Read everything inside as it stands at the first reading, whatever is written beside."""
        self._do("BEGIN")
        try:
            yield
        finally:
            self._do("COMMIT")

    def scrub(self, *, whole: bool) -> bool:
        """Write the file anew, unless it is large, and empty the write-ahead log.

        Overwriting what is deleted (`secure_delete`) is not enough: rows that moved between two
        pages of an index may have left a copy behind. Readers beside may keep the log from being
        emptied for a moment.
        """
        size = self.rows("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        anew = whole or bool(size[0][0] <= MOST_SCRUBBED)
        if anew:
            self._do("VACUUM")
        return self._empty_log() and anew

    def _empty_log(self) -> bool:
        for _ in range(_ATTEMPTS):
            if self.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0] == 0:
                return True
        return False

    def close(self) -> None:
        """Close the connection and let the next writer in."""
        self.connection.close()
        if self._lock is not None:
            self._lock.close()


class SqliteLedger(Ledger):
    """The one writer of an embedded ledger."""

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
                ledger = cls(SqliteDatabase(connection, lock))
            except (OSError, apsw.Error) as error:
                raise StateError(f"the ledger {path} cannot be opened: {error}") from error
            undo.pop_all()
        return ledger


class SqliteReader(LedgerReader):
    """A read-only view of an embedded ledger, safe beside the writer in another process."""

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
        return cls(SqliteDatabase(connection))
