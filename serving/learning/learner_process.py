"""The learner as a process of its own, and the supervisor that keeps it alive.

Run by the server as `python -m serving.learning.learner_process`, with DATA, SNAPSHOT_EVERY_S,
POLL_S and PARENT, and with the URL of a shared ledger in its environment, where no list of
processes shows it. It ends when its parent does; its death delays learning and nothing else.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from serving.learning.learner import BATCH, Learner
from serving.learning.snapshots import SnapshotFolder
from serving.learning.tidying import Tidier
from serving.ledger import open_reader
from serving.settings import LEDGER_ENV, Settings, load_keys
from serving.stopping import Stop
from serving.watching.logs import LOG_ENV, logging_to

logger = logging.getLogger("nextbest.learner")

_NICENESS = 5  # decisions come first
_LONGEST_PAUSE_S = 60.0
_COLLECT = (20_000, 50, 100)  # what waits for its windows is long-lived, and there is much of it


def run(settings: Settings, stop: Stop, parent: int) -> None:
    """Learn until told to stop, then publish what has been learned.

    Args:
        settings: name the data folder.
        stop: set when all that the ledger has is to be learned, and no more.
        parent: process id of the server, with which the learner ends, at once.
    """
    keys = load_keys(settings.data)
    ledger = open_reader(settings)
    snapshots = SnapshotFolder(settings.snapshots, keys.snapshot)
    tidier = Tidier(ledger, snapshots)
    learner = Learner(ledger, snapshots, settings.snapshot_every_s, tidier.show)
    learner.resume()
    while not stop.is_set() and os.getppid() == parent:
        read = learner.step()
        learner.publish()
        if read < BATCH:
            tidier.work(settings.prune_every_s)
            stop.wait(settings.poll_s)
    last = ledger.last_position()  # what others add from now on would keep it for ever
    while os.getppid() == parent and learner.position < last and learner.step():
        pass
    learner.publish(force=True)
    ledger.close()


def main(arguments: list[str]) -> None:
    """Run from the command line: DATA SNAPSHOT_EVERY_S POLL_S PARENT."""
    data, every_s, poll_s, parent = arguments
    settings = Settings(
        Path(), Path(data), snapshot_every_s=float(every_s), poll_s=float(poll_s),
        ledger_url=os.environ.get(LEDGER_ENV, ""),
    )  # fmt: skip
    kind, target = os.environ.get(LOG_ENV, "text:").split(":", 1)
    stop = Stop()
    stop.on((signal.SIGTERM,))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server passes the end on by SIGTERM
    os.nice(_NICENESS)
    gc.freeze()
    gc.set_threshold(*_COLLECT)
    with logging_to("json" if kind == "json" else "text", Path(target) if target else None):
        run(settings, stop, int(parent))


class LearnerSupervisor:
    """Keeps one learner process running beside the server.

    A learner that dies is started again after `pause_s`; one that dies again within a minute,
    after twice as long each time, up to a minute.
    """

    def __init__(self, settings: Settings, pause_s: float = 1.0) -> None:
        self._settings = settings
        self._pause_s = pause_s
        self._closing = threading.Event()
        self._starting = threading.Lock()
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
        with self._starting:
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
        pause_s = self._pause_s
        while not self._closing.is_set():
            started = time.monotonic()
            how = self._run_once()
            if time.monotonic() - started > _LONGEST_PAUSE_S:
                pause_s = self._pause_s
            if not self._closing.is_set():
                logger.warning("the learner %s; starting it again in %g s", how, pause_s)
                self._closing.wait(pause_s)
                pause_s = min(2.0 * pause_s, _LONGEST_PAUSE_S)

    def _run_once(self) -> str:
        """Start a learner, unless closing, and wait for its end; return how it ended."""
        settings = self._settings
        values = (settings.data, settings.snapshot_every_s, settings.poll_s, os.getpid())
        command = [sys.executable, "-m", "serving.learning.learner_process", *map(str, values)]
        with self._starting:  # so that `close` either stops the start or sees what was started
            if self._closing.is_set():
                return "was not wanted"
            try:
                log = f"{settings.log}:{settings.log_file or ''}"
                environment = os.environ | {LEDGER_ENV: settings.ledger_url, LOG_ENV: log}
                self._process = subprocess.Popen(command, env=environment)  # noqa: S603 - our own module
            except OSError as error:
                return f"could not be started ({error.strerror})"
        return f"ended with {self._process.wait()}"


if __name__ == "__main__":
    main(sys.argv[1:])
