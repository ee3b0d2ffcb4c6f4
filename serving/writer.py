"""Group commit: one task owns the ledger and makes everything that waits durable at once.

No timer: a batch is what arrived while the previous one was being made durable. Jobs run on the
event loop, where they need no other thread's turn; only the commit, which waits for the disk and
not for Python, runs beside it. Each job runs in a savepoint, so one that fails undoes itself
alone; nobody is answered before the commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from agents.errors import StateError
from serving.ledger import Ledger

T = TypeVar("T")

logger = logging.getLogger("nextbest")

MAX_BATCH = 32

_STOPPED = "the ledger has stopped; nothing can be decided now"


@dataclass(slots=True)
class _Job:
    work: Callable[[Ledger], Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None

    def attempt(self, ledger: Ledger) -> None:
        """Do the work; if it fails, leave nothing of it."""
        try:
            with ledger.savepoint():
                self.result = self.work(ledger)
        except Exception as error:  # noqa: BLE001 - raised again where the job is awaited
            self.error = error

    def settle(self) -> None:
        """Answer whoever waits."""
        if self.future.done():
            return
        if isinstance(self.error, StopIteration):  # which no future accepts
            self.error = RuntimeError("a job ended in StopIteration")
        if self.error is not None:
            self.future.set_exception(self.error)
            self.future.exception()  # heard, even if whoever asked is gone
        else:
            self.future.set_result(self.result)


class Writer:
    """Runs jobs on the ledger, one after another, in durable batches.

    Made and used on one event loop.

    Args:
        ledger: open for writing; closed by `close`.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: deque[_Job] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="ledger-commit")
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(self._dismiss)

    @property
    def alive(self) -> bool:
        """Whether jobs are still being run."""
        return not self._closing and not self._task.done()

    def submit(self, work: Callable[[Ledger], T]) -> asyncio.Future[T]:
        """Queue a job; the future ends after its commit. Await it under `asyncio.shield`.

        Raises:
            StateError: the writer has stopped.
        """
        if not self.alive:
            raise StateError(_STOPPED)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Job(work, future))
        self._wake.set()
        return future

    async def close(self) -> None:
        """Finish what is queued, then close the ledger."""
        self._closing = True
        self._wake.set()
        try:
            await self._task
        finally:
            self._disk.shutdown()
            self._ledger.close()

    async def _run(self) -> None:
        while self._waiting or not self._closing:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            count = min(len(self._waiting), MAX_BATCH)
            batch = [self._waiting.popleft() for _ in range(count)]
            try:
                await self._commit(batch)
            finally:
                for job in batch:
                    job.settle()

    def _dismiss(self, _task: asyncio.Task[None]) -> None:
        """Tell whoever still waits when the task has ended before its time: nobody hangs."""
        for job in self._waiting:
            job.error = StateError(_STOPPED)
            job.settle()

    async def _commit(self, batch: list[_Job]) -> None:
        ledger = self._ledger
        try:
            ledger.begin()
            for job in batch:
                job.attempt(ledger)
            await asyncio.get_running_loop().run_in_executor(self._disk, ledger.commit)
        except BaseException as error:
            logger.error("a commit failed; %d requests are refused: %s", len(batch), error)
            for job in batch:
                job.error = StateError(f"nothing was committed: {error}")
            with contextlib.suppress(StateError):  # then `begin` tries again
                ledger.rollback()
            if not isinstance(error, Exception):
                raise
