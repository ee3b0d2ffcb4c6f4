"""The file of an embedded ledger: its lock, its settings, its schema."""

from __future__ import annotations

import fcntl
import os
import time
from importlib.resources import files
from pathlib import Path
from typing import IO

import apsw

from agents.errors import StateError

SCHEMA_VERSION = 4


def make_private(path: Path) -> None:
    """Make a file that only its owner may read, if it is not there; SQLite's others follow it."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def take_lock(path: Path, wait_s: float) -> IO[bytes]:
    """Become the one writer; wait a little for a predecessor to let go.

    Args:
        path: of the lock file.
        wait_s: seconds to wait at most.

    Raises:
        StateError: another process holds the lock.
    """
    make_private(path)
    lock = path.open("wb")
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                lock.close()
                raise StateError(
                    f"another server writes to {path.parent}; stop it, or choose another --data"
                ) from None
            time.sleep(0.1)
        else:
            return lock


def prepare(connection: apsw.Connection, path: Path) -> None:
    """Make a connection durable at every commit, and the schema present, whole or not at all.

    Raises:
        StateError: the file is a ledger of another version or another program's database, or
            lies where SQLite cannot keep a write-ahead log.
    """
    connection.set_busy_timeout(5_000)
    # Else a statement is planned anew for each value that is bound: that costs more than to run it.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    version = _ask(connection, "PRAGMA user_version")
    if version != 0:
        check_version(connection, path)
    if version == 0 and _ask(connection, "SELECT count(*) FROM sqlite_schema"):
        raise StateError(f"expected a ledger at {path}, got another program's database")
    mode = _ask(connection, "PRAGMA journal_mode=WAL")
    if mode != "wal":
        raise StateError(
            f"expected a disk where {path} can have a write-ahead log, got journal mode {mode};"
            " choose a local disk with --data"
        )
    connection.execute("PRAGMA synchronous=FULL")
    # A commit that copies the log to the file takes ten times as long: one in 150, and not in 40.
    connection.execute("PRAGMA wal_autocheckpoint=4000")
    # Whoever died may have left what could not be synced: it is copied before anything follows it.
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA secure_delete=ON")  # what is pruned is overwritten with zeros
    if version == 0:
        schema = files("serving.ledger").joinpath("schema/sqlite.sql").read_text(encoding="utf-8")
        with connection:  # one transaction
            connection.execute(schema)
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


def check_version(connection: apsw.Connection, path: Path) -> None:
    """Refuse a ledger that another version of nextbest wrote; there is no migration before 1.0.

    Raises:
        StateError: the version is not this one's.
    """
    version = _ask(connection, "PRAGMA user_version")
    if version != SCHEMA_VERSION:
        raise StateError(
            f"expected version {SCHEMA_VERSION} of the ledger {path}, got {version};"
            " run the nextbest that wrote it, or choose another --data"
        )


def _ask(connection: apsw.Connection, sql: str) -> object:
    return next(iter(connection.execute(sql).fetchall()))[0]
