"""Group commit: one task owns the ledger and makes everything that waits durable at once.

No timer: a batch is what arrived while the previous one was being made durable, and what the
event loop has received by then. Jobs run on the loop, where they need no other thread's turn. So
does the commit of a disk that is quick (`pace`), and the loop waits for a database far away. A job
that fails undoes itself alone; nobody is answered before the commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TypeVar

from agents.errors import StateError
from serving.job import Job, Look, looks_of
from serving.ledger import Ledger, LedgerReader
from serving.ledger.database import LostError, RefusedError
from serving.ledger.foreseen import UnforeseenError
from serving.ledger.optimistic import Ahead, Changes, Check
from serving.pace import Pace

T = TypeVar("T")

logger = logging.getLogger("nextbest")

MAX_BATCH = 32

_STOPPED = "the ledger has stopped; nothing can be decided now"


class Writer:
    """Runs jobs on the ledger, one after another, in durable batches.

    Made and used on one event loop.

    Args:
        ledger: open for writing; closed by `close`.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: deque[Job] = deque()
        self._apart: deque[Job] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="ledger-commit")
        self._pace = Pace()
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(self._dismiss)
        self.on_commit: Callable[[int, float], None] = lambda _jobs, _seconds: None
        """Told of each commit: how many jobs it had, and how long the ledger took for it."""

    @property
    def waiting(self) -> int:
        """How many jobs wait for their turn."""
        return len(self._waiting)

    @property
    def ahead(self) -> bool:
        """Whether jobs with a check are done before the ledger is locked."""
        return self._ledger.ahead is not None

    @property
    def alive(self) -> bool:
        """Whether jobs are still being run."""
        return not self._closing and not self._task.done()

    def submit(
        self,
        work: Callable[[Ledger], T],
        foresee: Look | None = None,
        check: Callable[[LedgerReader, T], tuple[T, Changes] | None] | None = None,
    ) -> asyncio.Future[T]:
        """Queue a job; the future ends after its commit; to cancel it does not stop the job.

        Args:
            work: the job.
            foresee: calls the reader's methods that the job will call first, as far as they can be
                known, so that a ledger far away answers a whole batch at once. It may be called in
                another thread; it changes nothing, and a wrong guess costs time only.
            check: lets the job be done before the ledger is locked, where several replicas write.
                Given its result, it asks again what it asked of the counters, and returns the
                result as it is now, and what of its records has changed; None if it would be done
                otherwise now. It must not look at what was drawn.

        Raises:
            StateError: the writer has stopped.
        """
        if not self.alive:
            raise StateError(_STOPPED)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(Job(work, future, foresee, check))
        self._wake.set()
        return future

    def apart(self, work: Callable[[Ledger], T]) -> asyncio.Future[T]:
        """Queue work that is no transaction, in a thread; all jobs wait until it is done.

        Raises:
            StateError: the writer has stopped.
        """
        if not self.alive:
            raise StateError(_STOPPED)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._apart.append(Job(work, future))
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
        while self._waiting or self._apart or not self._closing:
            if self._apart:
                await self._do_apart(self._apart.popleft())
                continue
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._gather()
            batch = self._next_batch()
            try:
                await self._commit(batch)
            finally:
                for job in batch:
                    job.settle()

    async def _gather(self) -> None:
        """Let the loop turn while each turn brings jobs: a commit costs more than a few of them."""
        seen = 0
        while seen < len(self._waiting) < MAX_BATCH:
            seen = len(self._waiting)
            await asyncio.sleep(0)

    def _next_batch(self) -> list[Job]:
        """Take what waits, in order; jobs that can be done before the lock by themselves."""
        waiting, ahead = self._waiting, self._ledger.ahead is not None
        checked = waiting[0].check is not None
        batch: list[Job] = []
        while waiting and len(batch) < MAX_BATCH:
            if ahead and (waiting[0].check is not None) != checked:
                break
            batch.append(waiting.popleft())
        return batch

    async def _do_apart(self, job: Job) -> None:
        loop = asyncio.get_running_loop()
        try:
            job.result = await loop.run_in_executor(self._disk, job.work, self._ledger)
        except Exception as error:  # noqa: BLE001 - raised again where it is awaited
            job.error = error
        finally:
            job.settle()

    def _dismiss(self, _task: asyncio.Task[None]) -> None:
        """Tell whoever still waits when the task has ended before its time: nobody hangs."""
        for job in (*self._waiting, *self._apart):
            job.error = StateError(_STOPPED)
            job.settle()

    async def _commit(self, batch: list[Job]) -> None:
        try:
            if self._ledger.ahead is not None and batch[0].check is not None:
                await self._attempt_ahead(self._ledger.ahead, batch)
            else:
                await self._attempt(batch)
        except BaseException as error:
            kept = "" if isinstance(error, LostError) else "nothing was committed: "
            for job in batch:  # first of all, whatever else goes wrong: nobody is answered
                job.error = StateError(f"{kept}{error}")
            await self._undo()
            if len(batch) > 1 and isinstance(error, RefusedError) and error.own_fault:
                for job in batch:  # so that only the culprit hears of it
                    await self._commit([job])
                return
            logger.error("a commit failed; %d requests are refused: %s", len(batch), error)
            if not isinstance(error, Exception):
                raise

    async def _attempt(self, batch: list[Job]) -> None:
        """Do a batch in one transaction; journeys to a ledger far away are made off the loop."""
        ledger, loop = self._ledger, asyncio.get_running_loop()
        if ledger.remote:
            await loop.run_in_executor(self._disk, self._open, batch)
        else:
            ledger.begin()
        if ledger.remote or not all(job.dare(ledger) for job in batch):
            self._attempt_each(batch)
        started = perf_counter()
        if ledger.remote or not self._pace.here:
            await loop.run_in_executor(self._disk, ledger.commit)
        else:
            ledger.commit()
        took = perf_counter() - started
        self._pace.note(took)
        self.on_commit(len(batch), took)

    async def _attempt_ahead(self, ahead: Ahead, batch: list[Job]) -> None:
        """Do a batch before the lock is held; what does not stand then is done again inside."""
        ledger, loop = self._ledger, asyncio.get_running_loop()
        await ahead.begin(looks_of(batch))
        checks: list[Check] = []
        for job in batch:
            try:
                job.attempt(ledger)
            except UnforeseenError:
                break
            checks.append(job.renew)
            ahead.done()
        started = perf_counter()
        whole = len(checks) == len(batch)
        kept = await ahead.conclude(checks, whole=whole)
        rest = batch[kept:]
        if rest:
            await loop.run_in_executor(self._disk, ledger.foresee, looks_of(rest))
            for job in rest:
                job.attempt(ledger)
            started = perf_counter()
            await loop.run_in_executor(self._disk, ledger.commit)
        self.on_commit(len(batch), perf_counter() - started)

    def _attempt_each(self, batch: list[Job]) -> None:
        """Do each job in a savepoint.

        In a file that costs as much as all that is written in it, and hardly any job fails once it
        has written; so there it is done only when one has, and the transaction begins again.
        """
        if not self._ledger.remote:
            self._ledger.rollback()
            self._ledger.begin()
        for job in batch:
            job.attempt(self._ledger)

    def _open(self, batch: list[Job]) -> None:
        self._ledger.begin()
        self._ledger.foresee(looks_of(batch))

    async def _undo(self) -> None:
        with contextlib.suppress(StateError):  # then `begin` tries again
            if self._ledger.remote:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._disk, self._ledger.rollback)
            else:
                self._ledger.rollback()
