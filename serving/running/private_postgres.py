"""A PostgreSQL of one's own, for tests and benchmarks: made in an empty folder, on loopback.

It commits as a real one does (fsync on), lets in only this machine, and is gone afterwards.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psycopg

from agents.errors import StateError

_PACKAGED = Path("/usr/lib/postgresql")  # where Debian keeps each version's programs
_PATIENCE_S, _TO_STOP_S = 60.0, 5.0
_USERS = ("postgres", "nobody")  # PostgreSQL does not run as root
_CONFIG = {
    "fsync": "on",
    "synchronous_commit": "on",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # nobody uses one, and its path could be too long
    "shared_buffers": "64MB",
    "max_connections": "60",
    "max_prepared_transactions": "0",
}


def find_programs() -> Path:
    """Return the folder of PostgreSQL's programs.

    Raises:
        StateError: there is none.
    """
    newest = sorted(_PACKAGED.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = newest[-1] if newest else shutil.which("initdb")
    if found is None:
        raise StateError(
            "expected PostgreSQL 14 or later on this machine, got none; install it, as with"
            " 'apt-get install postgresql'"
        )
    return Path(found).resolve().parent


class PrivatePostgres:
    """A server in a folder of its own.

    Args:
        folder: empty; given to an unprivileged user if this process is root's.
    """

    def __init__(self, folder: Path) -> None:
        self._programs = find_programs()
        self._user = _unprivileged()
        self._data = folder / "data"
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        if self._user is not None:
            shutil.chown(folder, self._user)
        options = ("-U", "nextbest", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        with self._log.open("wb") as log:
            self._start("initdb", "-D", str(self._data), *options, log=log).wait(_PATIENCE_S)
        self.start()

    def url(self, database: str = "postgres") -> str:
        """Return where a database is."""
        return f"postgresql://nextbest@127.0.0.1:{self.port}/{database}"

    def schema(self, name: str) -> str:
        """Return the URL of a schema, which a ledger makes when it is opened; cheap to have."""
        return f"{self.url()}?options=-csearch_path%3D{name}"

    def make(self, database: str) -> str:
        """Make an empty database; return its URL."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"'.encode())
        return self.url(database)

    def start(self) -> None:
        """Start the server, and wait until it answers.

        Raises:
            StateError: it does not, within a minute.
        """
        config = [f"-c{name}={value}" for name, value in _CONFIG.items()]
        place = ("-D", str(self._data), f"-p{self.port}")
        with self._log.open("ab") as log:
            self._process = self._start("postgres", *place, *config, log=log)
        try:
            self._await_answer(self._process)
        except BaseException:
            self.stop()
            raise

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline or process.poll() is not None:
                    last = self._log.read_text(errors="replace").splitlines()[-3:]
                    raise StateError(f"PostgreSQL did not start: {' / '.join(last)}") from None
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """Kill the whole server at once, as a loss of power would."""
        assert self._process is not None, "it was started"
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        for each in (pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        self._process.wait(_PATIENCE_S)

    def stop(self) -> None:
        """Stop the server at once; its folder is of no use any more."""
        if self._process is None:
            return
        for number in (signal.SIGQUIT, signal.SIGQUIT, signal.SIGKILL):
            if self._process.poll() is None:  # one that has just begun may miss what it is told
                self._process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_TO_STOP_S)

    def _start(self, program: str, *arguments: str, log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - PostgreSQL's own program
            [str(self._programs / program), *arguments],
            stdout=log, stderr=log, cwd="/", user=self._user, start_new_session=True,
            env={"PATH": os.defpath, "LC_ALL": "C"},
        )  # fmt: skip


@contextlib.contextmanager
def private_postgres() -> Iterator[PrivatePostgres]:
    """Run a server inside the context, in a folder that is removed at the end.

    Raises:
        StateError: PostgreSQL is not installed, or does not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="nextbest-postgres-"))
    try:
        server = PrivatePostgres(folder)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(user for user in _USERS if user in known)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
