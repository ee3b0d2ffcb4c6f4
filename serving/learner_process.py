"""The learner as a process of its own, and the supervisor that keeps it alive.

Run by the server as `python -m serving.learner_process DATA SNAPSHOT_EVERY_S POLL_S`. It ends when
its parent does; its death delays learning and nothing else.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType

from serving.learner import BATCH, Learner
from serving.ledger import SqliteReader
from serving.settings import Settings, load_keys
from serving.snapshots import SnapshotFolder

logger = logging.getLogger("nextbest.learner")

_NICENESS = 5  # decisions come first
_RESTART_S = 1.0


def run(settings: Settings, stop: threading.Event) -> None:
    """Learn until told to stop, then publish what has been learned."""
    keys = load_keys(settings.data)
    ledger = SqliteReader.open(settings.ledger)
    snapshots = SnapshotFolder(settings.snapshots, keys.snapshot)
    learner = Learner(ledger, snapshots, settings.snapshot_every_s)
    learner.resume()
    parent = os.getppid()
    while not stop.is_set() and os.getppid() == parent:
        read = learner.step()
        learner.publish()
        if read < BATCH:
            stop.wait(settings.poll_s)
    while learner.step():
        pass
    learner.publish(force=True)
    ledger.close()


def main(arguments: list[str]) -> None:
    """Run from the command line: DATA SNAPSHOT_EVERY_S POLL_S."""
    data, every_s, poll_s = arguments
    settings = Settings(Path(), Path(data), snapshot_every_s=float(every_s), poll_s=float(poll_s))
    stop = threading.Event()

    def on_signal(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server passes the end on by SIGTERM
    os.nice(_NICENESS)
    run(settings, stop)


class LearnerSupervisor:
    """Keeps one learner process running beside the server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._closing = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="learner-supervisor", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The learner's process id, if it runs now."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def close(self, patience_s: float = 30.0) -> None:
        """Let the learner learn what is left, publish, and end."""
        self._closing.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(patience_s)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join(patience_s)

    def _keep(self) -> None:
        settings = self._settings
        values = (settings.data, settings.snapshot_every_s, settings.poll_s)
        command = [sys.executable, "-m", "serving.learner_process", *map(str, values)]
        while not self._closing.is_set():
            self._process = subprocess.Popen(command)  # noqa: S603 - our own module
            code = self._process.wait()
            if not self._closing.is_set():
                logger.warning("the learner ended with %s; starting it again", code)
                self._closing.wait(_RESTART_S)


if __name__ == "__main__":
    main(sys.argv[1:])
