from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agents.decisions import OutcomeEvent
from agents.errors import StateError
from agents.memory import past_event
from serving.ledger import Ledger, SqliteLedger, SqliteReader
from serving.ledger.sqlite_file import SCHEMA_VERSION
from serving.writer import MAX_BATCH, Writer

Job = Callable[[Ledger], Any]


def note(name: str, value: str) -> Job:
    return lambda ledger: ledger.note(name, value)


def with_writer(path: Path, use: Callable[[Writer], Awaitable[Any]]) -> Any:
    """Open a writer on a ledger, use it, and close it."""

    async def run() -> Any:
        writer = Writer(SqliteLedger.open(path))
        try:
            return await use(writer)
        finally:
            await writer.close()

    return asyncio.run(run())


async def outcomes(writer: Writer, *jobs: Job) -> list[Any]:
    """Submit jobs together and return each one's result or error."""
    futures: list[asyncio.Future[Any]] = [writer.submit(job) for job in jobs]
    await asyncio.wait(futures)
    return [future.exception() or future.result() for future in futures]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def test_a_failing_job_undoes_itself_and_nobody_else(path: Path) -> None:
    def fails(ledger: Ledger) -> None:
        ledger.note("half", "done")
        raise ValueError("no")

    first, second, third = with_writer(
        path, lambda writer: outcomes(writer, note("a", "1"), fails, note("b", "2"))
    )
    assert (first, third) == ("1", "2")
    assert isinstance(second, ValueError)
    ledger = SqliteLedger.open(path)
    assert (ledger.note("a"), ledger.note("half"), ledger.note("b")) == ("1", None, "2")
    ledger.close()


def test_many_jobs_run_in_the_order_they_came(path: Path) -> None:
    seen: list[int] = []

    def append(number: int) -> Job:
        return lambda _ledger: seen.append(number)

    jobs = [append(number) for number in range(5 * MAX_BATCH)]
    with_writer(path, lambda writer: outcomes(writer, *jobs))
    assert seen == list(range(5 * MAX_BATCH))


def test_a_closed_writer_refuses(path: Path) -> None:
    async def use(writer: Writer) -> None:
        job = writer.submit(note("a", "1"))
        await writer.close()
        assert await job == "1"  # what was queued is finished
        assert not writer.alive
        with pytest.raises(StateError, match="the ledger has stopped"):
            writer.submit(note("b", "2"))

    with_writer(path, use)


def test_a_commit_that_fails_fails_every_job_of_the_batch(path: Path) -> None:
    def breaks_the_transaction(ledger: Ledger) -> None:
        ledger.rollback()
        ledger.begin()

    def loses_the_transaction(ledger: Ledger) -> None:
        ledger.rollback()

    async def use(writer: Writer) -> None:
        for bad in (breaks_the_transaction, loses_the_transaction):
            answers = await outcomes(writer, note("a", "1"), bad)
            assert all(isinstance(answer, Exception) for answer in answers[1:])
        assert await outcomes(writer, note("b", "2")) == ["2"]

    with_writer(path, use)
    ledger = SqliteLedger.open(path)
    assert (ledger.note("a"), ledger.note("b")) == (None, "2")
    ledger.close()


def test_a_cancelled_waiter_does_not_stop_the_commit(path: Path) -> None:
    async def use(writer: Writer) -> None:
        task = asyncio.ensure_future(asyncio.shield(writer.submit(note("a", "1"))))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with_writer(path, use)
    ledger = SqliteLedger.open(path)
    assert ledger.note("a") == "1"
    ledger.close()


def test_a_second_writer_is_refused(path: Path) -> None:
    ledger = SqliteLedger.open(path)
    with pytest.raises(StateError, match="another server writes to"):
        SqliteLedger.open(path, wait_s=0.2)
    ledger.close()
    SqliteLedger.open(path).close()


def test_a_reader_needs_a_ledger(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="expected a ledger at"):
        SqliteReader.open(tmp_path / "none.sqlite")


def test_a_ledger_of_another_version_is_refused(path: Path) -> None:
    ledger = SqliteLedger.open(path)
    ledger._db.rows("PRAGMA user_version=1")
    ledger.close()
    with pytest.raises(
        StateError, match=f"expected version {SCHEMA_VERSION} of the ledger .* got 1; run the nextb"
    ):
        SqliteLedger.open(path)
    with pytest.raises(
        StateError, match=f"expected version {SCHEMA_VERSION} of the ledger .* or choose another"
    ):
        SqliteReader.open(path)


def test_what_is_rolled_back_leaves_no_gap(path: Path) -> None:
    ledger = SqliteLedger.open(path)
    at = datetime(2026, 3, 1, tzinfo=UTC)

    def add(name: str) -> int:
        event = OutcomeEvent(name, "d", "renewed", at, customer="ann")
        return ledger.add_outcome(
            event, past_event(event, None), counted=(), request=b"", closes=at
        )

    ledger.begin()
    add("a")
    ledger.rollback()
    ledger.begin()
    with pytest.raises(RuntimeError), ledger.savepoint():
        add("b")
        raise RuntimeError
    assert add("c") == 1
    ledger.commit()
    assert [entry.position for entry in ledger.entries(0, 10)] == [1]
    assert ledger.contacts("nobody", at - timedelta(days=1)) == ()
    ledger.close()


def test_nothing_is_written_outside_of_a_transaction(path: Path) -> None:
    """SQLite undoes a whole transaction when the disk is full; what followed would stand alone."""
    with closing(SqliteLedger.open(path)) as ledger:
        with pytest.raises(StateError, match="the transaction was undone; nothing of it is"):
            ledger.note("a", "b")
        with pytest.raises(StateError, match="the transaction was undone; nothing of it is"):
            ledger._db.run_many("INSERT INTO note VALUES (?, ?)", [("a", "b")])
        assert ledger.note("a") is None
