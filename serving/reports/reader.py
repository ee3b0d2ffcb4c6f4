"""Keeps running totals of the log beside the server: read in a thread, by a connection of its own.

Nothing is read before somebody asks for a report; from then on the totals follow the log, and an
answer costs little. Reading never waits for the writer, nor the writer for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from agents.errors import LogError, StateError
from serving.ledger import LedgerReader
from serving.reports.facts import Past
from serving.reports.report import Totals

T = TypeVar("T")

logger = logging.getLogger("nextbest")

BATCH = 200
_PATIENCE_S = 2.0
_IDLE_S = 1.0
_REST = 2.0  # while nobody waits, twice as long as a reading took is left to decisions


class Reports:
    """Answers questions about the log; made and used on one event loop.

    Args:
        open_reader: opens a connection to the ledger.
    """

    def __init__(self, open_reader: Callable[[], LedgerReader]) -> None:
        self._open = open_reader
        self._ledger: LedgerReader | None = None
        self._totals: Totals | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reports")

    async def ask(self, question: Callable[[Totals, LedgerReader], T]) -> tuple[T, int]:
        """Answer from the totals, once they have read what the log has now, or after two seconds.

        Returns:
            The answer, and the position of the log's last entry when it was asked. The totals say
            how far they have read: if less, the answer is of the log up to there.

        Raises:
            StateError: the ledger cannot be read now.
        """
        last = await self._run(self._last_position)
        deadline = time.monotonic() + _PATIENCE_S
        began = time.monotonic()
        while await self._run(self._step) < last and time.monotonic() < deadline:
            await asyncio.sleep(time.monotonic() - began)  # as long again is left to decisions
            began = time.monotonic()
        if self._task is None:
            self._task = asyncio.create_task(self._follow())
        return await self._run(lambda: question(self._known(), self._reader())), last

    async def close(self) -> None:
        """Stop reading and let go of the ledger."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._run(self._close)
        self._thread.shutdown()

    async def _follow(self) -> None:
        """Read on, so that the next answer is near; what goes wrong is tried again."""
        while True:
            began, pause = time.monotonic(), _IDLE_S
            with contextlib.suppress(StateError):  # whoever asks next is told
                before = self._known().position
                if await self._run(self._step) - before >= BATCH:
                    pause = _REST * (time.monotonic() - began)
            await asyncio.sleep(pause)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _reader(self) -> LedgerReader:
        if self._ledger is None:
            self._ledger = self._open()
            self._totals = Totals(Past(self._ledger))
        return self._ledger

    def _known(self) -> Totals:
        assert self._totals is not None, "the ledger is opened before anything is asked"
        return self._totals

    def _last_position(self) -> int:
        return self._reader().last_position()

    def _step(self) -> int:
        """Add the next entries; return how far has been read."""
        totals = self._known()
        for entry in self._reader().entries(totals.position, BATCH):
            try:
                totals.take(entry)
            except (LogError, LookupError, TypeError, ValueError) as error:
                logger.error(
                    "entry %d (%s) is not in the reports: %s",
                    entry.position, entry.kind, type(error).__name__,
                )  # fmt: skip
        return totals.position

    def _close(self) -> None:
        if self._ledger is not None:
            self._ledger.close()
