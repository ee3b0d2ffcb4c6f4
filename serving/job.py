"""What the writer does for somebody who waits: one piece of work on the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from serving.ledger import Ledger, LedgerReader
from serving.ledger.optimistic import Changes

Look = Callable[[LedgerReader], object]


@dataclass(slots=True)
class Job:
    """One piece of work and who waits for it; its arguments are those of `Writer.submit`."""

    work: Callable[[Ledger], Any]
    future: asyncio.Future[Any]
    foresee: Look | None = None
    check: Callable[[LedgerReader, Any], tuple[Any, Changes] | None] | None = None
    result: Any = None
    error: Exception | None = None

    def attempt(self, ledger: Ledger) -> None:
        """Do the work; if it fails, leave nothing of it."""
        self.error = None
        try:
            with ledger.savepoint():
                self.result = self.work(ledger)
        except Exception as error:  # noqa: BLE001 - raised again where the job is awaited
            self.error = error

    def dare(self, ledger: Ledger) -> bool:
        """Do the work without a savepoint; return whether nothing is left of it if it failed."""
        self.error, before = None, ledger.written
        try:
            self.result = self.work(ledger)
        except Exception as error:  # noqa: BLE001 - as above
            self.error = error
        after = ledger.written
        same = after == before or self.error is None
        return same and after.transaction == before.transaction

    def renew(self, ledger: LedgerReader) -> Changes | None:
        """Bring the result to date; None if the job is to be done again."""
        if self.check is None or self.error is not None:
            return ()
        renewed = self.check(ledger, self.result)
        if renewed is None:
            return None
        self.result, changes = renewed
        return changes

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


def looks_of(jobs: Iterable[Job]) -> list[Look]:
    """Return what jobs foresee."""
    return [job.foresee for job in jobs if job.foresee is not None]
