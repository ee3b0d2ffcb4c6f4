"""The server under test, in processes of its own: `nextbest serve` with empty deployments beside.

All stand behind the same HAProxy, in the same Ray, with the same settings of Ray: one as anybody
writes it, and one that is reached past Ray's wrapper, as decisions are.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agents.errors import StateError
from serving.benchmarks import processes
from serving.benchmarks.questions import STRAIGHT_PATH
from serving.benchmarks.workspace import write_workspace
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import LedgerReader, open_reader
from serving.settings import LEDGER_ENV, ClockKind, Settings, load_keys

_READY = b"ready\n"
_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Stand:
    """A running server.

    Args:
        pid: of the process that all others descend from.
        settings: of the server.
        reader: of its ledger.
        snapshots: where its learner notes how far it has read.
    """

    pid: int
    settings: Settings
    reader: LedgerReader
    snapshots: SnapshotFolder

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.settings.port

    def replica(self, name: str) -> int:
        """Return the process of a deployment's only replica."""
        return processes.find(self.pid, f"ServeReplica:{name}:")

    def learner(self) -> int:
        """Return the learner's process."""
        return processes.find(self.pid, "serving.learning.learner_process")

    def front(self) -> list[int]:
        """Return HAProxy's processes."""
        return processes.named(self.pid, "haproxy")

    def unread(self) -> int:
        """Return how many entries of the log the learner has not read."""
        return max(0, self.reader.last_position() - self.snapshots.read_to())

    def settle(self) -> None:
        """Wait until the learner has read all.

        Raises:
            StateError: it does not get there.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while self.unread():
            if time.monotonic() > deadline:
                raise StateError(f"the learner is still {self.unread():,} entries behind")
            time.sleep(0.1)


def free_port() -> int:
    """Find a port that is free on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Make a folder with the workspace in it, and remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="nextbest-"))
    try:
        write_workspace(folder / "workspace")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def stand(folder: Path, ledger_url: str = "", clock: ClockKind = "driven") -> Iterator[Stand]:
    """Run a server on a folder that holds `workspace`, with `data` beside it.

    Raises:
        StateError: it does not start.
    """
    settings = Settings(
        folder / "workspace", folder / "data", port=free_port(), clock=clock,
        ledger_url=ledger_url,
    )  # fmt: skip
    command = [sys.executable, "-m", "serving.benchmarks.stand", str(folder), str(settings.port),
               clock]  # fmt: skip
    process = subprocess.Popen(  # noqa: S603 - our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=os.environ | {LEDGER_ENV: ledger_url},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if _READY not in process.stdout:
            raise StateError("the server under test did not start")
        reader = open_reader(settings)
        with contextlib.closing(reader):
            keys = load_keys(settings.data)
            snapshots = SnapshotFolder(settings.snapshots, keys.snapshot)
            yield Stand(process.pid, settings, reader, snapshots)
    finally:
        process.stdin.close()
        process.wait(_PATIENCE_S)


def main(arguments: list[str]) -> None:
    """Run the server until standard input ends: FOLDER PORT CLOCK."""
    from serving.running.server import serving

    folder = Path(arguments[0])
    settings = Settings(
        folder / "workspace", folder / "data", port=int(arguments[1]),
        clock="driven" if arguments[2] == "driven" else "machine",
        ledger_url=os.environ.get(LEDGER_ENV, ""),
    )  # fmt: skip
    with serving(settings):
        from ray import serve

        from serving.cluster.empty import build_empty, build_straight

        serve.run(build_empty(), name="empty", route_prefix="/empty")
        prefix = STRAIGHT_PATH.rstrip("/")
        serve.run(build_straight(STRAIGHT_PATH), name="straight", route_prefix=prefix)
        sys.stdout.buffer.write(_READY)
        sys.stdout.buffer.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
