"""Group commit: one thread owns the ledger and makes everything that waits durable at once.

No timer: a batch is what arrived while the previous one was being made durable. Each job runs in
a savepoint, so one that fails undoes itself alone; nobody is answered before the commit.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from agents.errors import StateError
from serving.ledger import Ledger

T = TypeVar("T")

MAX_BATCH = 64


@dataclass(slots=True)
class _Job:
    work: Callable[[Ledger], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: Exception | None = None

    def settle(self) -> None:
        """Answer the waiting handler, on its own loop."""
        if self.future.cancelled():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Writer:
    """Runs jobs on the ledger, one after another, in durable batches.

    Args:
        open_ledger: opens the ledger, called in the writer's own thread.

    Raises:
        StateError: the ledger cannot be opened.
    """

    def __init__(self, open_ledger: Callable[[], Ledger]) -> None:
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._opened: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, args=(open_ledger,), name="ledger-writer", daemon=True
        )
        self._thread.start()
        error = self._opened.get()
        if error is not None:
            raise error

    @property
    def alive(self) -> bool:
        """Whether jobs are still being run."""
        return self._thread.is_alive()

    def submit(self, work: Callable[[Ledger], T]) -> asyncio.Future[T]:
        """Queue a job; the future ends after its commit. Await it under `asyncio.shield`.

        Raises:
            StateError: the writer has stopped.
        """
        if not self.alive:
            raise StateError("the ledger has stopped; nothing can be decided now")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put(_Job(work, future, loop))
        return future

    def close(self) -> None:
        """Finish what is queued, then close the ledger."""
        self._queue.put(None)
        self._thread.join()

    def _run(self, open_ledger: Callable[[], Ledger]) -> None:
        try:
            ledger = open_ledger()
        except Exception as error:  # noqa: BLE001 - raised again where the writer was made
            self._opened.put(error)
            return
        self._opened.put(None)
        try:
            while batch := self._next_batch():
                _commit(ledger, batch)
                _settle(batch)
        finally:
            ledger.close()

    def _next_batch(self) -> list[_Job]:
        batch: list[_Job] = []
        job = self._queue.get()
        while job is not None:
            batch.append(job)
            if len(batch) == MAX_BATCH or self._queue.empty():
                return batch
            job = self._queue.get()
        self._queue.put(None)  # end after this batch
        return batch


def _commit(ledger: Ledger, batch: list[_Job]) -> None:
    try:
        with ledger.transaction():
            for job in batch:
                _attempt(ledger, job)
    except Exception as error:  # noqa: BLE001 - whatever it is, nothing was committed
        failure = StateError(f"the ledger could not commit: {error}")
        for job in batch:
            job.error = failure


def _attempt(ledger: Ledger, job: _Job) -> None:
    try:
        with ledger.savepoint():
            job.result = job.work(ledger)
    except Exception as error:  # noqa: BLE001 - raised again where the job is awaited
        job.error = error


def _settle(batch: list[_Job]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in batch:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, jobs in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle_all, jobs)


def _settle_all(jobs: list[_Job]) -> None:
    for job in jobs:
        job.settle()
