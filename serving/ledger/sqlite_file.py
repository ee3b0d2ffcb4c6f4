"""The file of an embedded ledger: its lock, its settings, its schema."""

from __future__ import annotations

import fcntl
import time
from importlib.resources import files
from pathlib import Path
from typing import IO

import apsw

from agents.errors import StateError

SCHEMA_VERSION = 1


def take_lock(path: Path, wait_s: float) -> IO[bytes]:
    """Become the one writer; wait a little for a predecessor to let go.

    Args:
        path: of the lock file.
        wait_s: seconds to wait at most.

    Raises:
        StateError: another process holds the lock.
    """
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
    """Make a connection durable at every commit, and the schema present.

    Raises:
        StateError: the file is a ledger of another version.
    """
    connection.set_busy_timeout(5_000)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    (version,) = connection.execute("PRAGMA user_version").fetchone() or (0,)
    if version not in (0, SCHEMA_VERSION):
        raise StateError(
            f"expected version {SCHEMA_VERSION} of the ledger {path}, got {version};"
            " run the nextbest that wrote it"
        )
    schema = files("serving.ledger").joinpath("schema.sql").read_text(encoding="utf-8")
    connection.execute(schema)
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
