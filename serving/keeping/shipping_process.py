"""Shipping in a process of its own, so that it never takes a decision's turn.

Run by the server as `python -m serving.keeping.shipping_process` with the settings as JSON on its
standard input, where nobody else can read a password.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import orjson

from agents.errors import NextbestError
from serving.keeping.shipping import ship
from serving.ledger import open_reader
from serving.settings import Settings, load_keys

logger = logging.getLogger("nextbest.shipping")

_NICENESS = 10  # decisions and learning come first
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PATHS = ("workspace", "data", "export_to", "log_to", "model_key")


def run(settings: Settings) -> None:
    """Ship what is new, once.

    Raises:
        StateError: another run is under way, or the folder or the ledger cannot be used.
        LogError: an entry of the ledger is damaged.
    """
    with closing(open_reader(settings)) as ledger:
        driven = ledger.last_instant() or _EPOCH
        now = driven if settings.clock == "driven" else datetime.now(UTC)
        ship(ledger, settings.exports, key=load_keys(settings.data).customer, now=now)


def read_settings(text: bytes) -> Settings:
    """Read settings as `tell_settings` writes them."""
    record = orjson.loads(text)
    for name in _PATHS:
        record[name] = None if record[name] is None else Path(record[name])
    return Settings(**{**record, "more": tuple(map(Path, record["more"]))})


def tell_settings(settings: Settings) -> bytes:
    """Write settings as JSON.

    Example:
        >>> settings = Settings(Path("shop"), Path("data"), more=(Path("bank"),))
        >>> read_settings(tell_settings(settings)) == settings
        True
    """
    return orjson.dumps(asdict(settings), default=str)


def main() -> int:
    """Ship by the settings on standard input; an error is one line on standard error."""
    os.nice(_NICENESS)
    try:
        run(read_settings(sys.stdin.buffer.read()))
    except NextbestError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


class Shipper:
    """Ships on demand and on a schedule, one run at a time.

    Args:
        settings: of the server; `exports` is where to.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._task: asyncio.Task[None] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()
        self._closing = False
        self.error = ""
        """Why the last run failed, empty if it did not."""

    @property
    def state(self) -> Literal["running", "idle"]:
        """Whether a run is under way."""
        return "idle" if self._task is None or self._task.done() else "running"

    def start(self) -> asyncio.Task[None]:
        """Begin a run unless one is under way; return it."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())
        return self._task

    async def keep_up(self, every_s: float) -> None:
        """Ship now and ever again.

        Args:
            every_s: seconds from the end of one run to the start of the next; never, if it is 0.
        """
        while every_s > 0:
            await asyncio.shield(self.start())
            await asyncio.sleep(every_s)

    async def close(self) -> None:
        """End a run that is under way; the next one goes on from there."""
        with self._starting:  # so that no run is started behind its back
            self._closing = True
            if self._process is not None:
                self._process.kill()
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        try:
            self.error = await asyncio.to_thread(self._ship)
        except OSError as error:
            self.error = f"shipping could not be started: {error.strerror}"
        if self.error:
            logger.error("the log was not shipped: %s", self.error)

    def _ship(self) -> str:
        """Run the process to its end; return what went wrong, empty if nothing did."""
        command = [sys.executable, "-m", "serving.keeping.shipping_process"]
        with self._starting:
            if self._closing:
                return "the server ends"
            self._process = process = subprocess.Popen(  # noqa: S603 - our own module
                command, stdin=subprocess.PIPE, stderr=subprocess.PIPE
            )
        with process:
            _, told = process.communicate(tell_settings(self._settings))
        self._process = None
        lines = told.decode(errors="replace").splitlines()
        return "" if process.returncode == 0 else (lines or ["it was ended"])[-1]


if __name__ == "__main__":
    sys.exit(main())
