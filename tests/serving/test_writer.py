from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agents.decisions import OutcomeEvent
from agents.errors import StateError
from serving.ledger import Ledger, SqliteLedger, SqliteReader
from serving.writer import MAX_BATCH, Writer


async def outcomes(writer: Writer, *works: Callable[[Ledger], Any]) -> list[Any]:
    """Submit jobs together and return each one's result or error."""
    jobs: list[asyncio.Future[Any]] = [writer.submit(work) for work in works]
    return await asyncio.gather(*jobs, return_exceptions=True)


def note(name: str, value: str) -> Callable[[Ledger], str | None]:
    return lambda ledger: ledger.note(name, value)


def test_a_failing_job_undoes_itself_and_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    writer = Writer(lambda: SqliteLedger.open(path))

    def fails(ledger: Ledger) -> None:
        ledger.note("half", "done")
        raise ValueError("no")

    work = outcomes(writer, note("a", "1"), fails, note("b", "2"))
    first, second, third = asyncio.run(work)
    writer.close()
    assert (first, third) == ("1", "2")
    assert isinstance(second, ValueError)
    ledger = SqliteLedger.open(path)
    assert (ledger.note("a"), ledger.note("half"), ledger.note("b")) == ("1", None, "2")
    ledger.close()


def test_many_jobs_run_in_the_order_they_came(tmp_path: Path) -> None:
    writer = Writer(lambda: SqliteLedger.open(tmp_path / "ledger.sqlite"))
    seen: list[int] = []

    def append(number: int) -> Callable[[Ledger], None]:
        return lambda _: seen.append(number)

    asyncio.run(outcomes(writer, *map(append, range(5 * MAX_BATCH))))
    writer.close()
    assert seen == list(range(5 * MAX_BATCH))


def test_a_closed_writer_refuses(tmp_path: Path) -> None:
    writer = Writer(lambda: SqliteLedger.open(tmp_path / "ledger.sqlite"))
    writer.close()

    async def work() -> None:
        with pytest.raises(StateError, match="the ledger has stopped"):
            writer.submit(note("a", "1"))

    asyncio.run(work())


def test_a_commit_that_fails_fails_every_job_of_the_batch(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    writer = Writer(lambda: SqliteLedger.open(path))

    def breaks_the_transaction(ledger: Ledger) -> None:
        assert isinstance(ledger, SqliteLedger)
        ledger._db.execute("ROLLBACK")

    answers = asyncio.run(outcomes(writer, note("a", "1"), breaks_the_transaction))
    assert all(isinstance(answer, StateError) for answer in answers[1:])
    assert asyncio.run(outcomes(writer, note("b", "2"))) == ["2"]
    writer.close()


def test_a_cancelled_waiter_does_not_stop_the_commit(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    writer = Writer(lambda: SqliteLedger.open(path))

    async def work() -> None:
        task = asyncio.ensure_future(asyncio.shield(writer.submit(note("a", "1"))))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(work())
    writer.close()
    ledger = SqliteLedger.open(path)
    assert ledger.note("a") == "1"
    ledger.close()


def test_a_second_writer_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.ledger.sqlite_file.LOCK_WAIT_S", 0.2)
    ledger = SqliteLedger.open(tmp_path / "ledger.sqlite")
    with pytest.raises(StateError, match="another server writes to"):
        SqliteLedger.open(tmp_path / "ledger.sqlite")
    ledger.close()
    SqliteLedger.open(tmp_path / "ledger.sqlite").close()


def test_a_reader_needs_a_ledger(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="expected a ledger at"):
        SqliteReader.open(tmp_path / "none.sqlite")


def test_a_ledger_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = SqliteLedger.open(path)
    ledger._db.execute("PRAGMA user_version=99")
    ledger.close()
    with pytest.raises(StateError, match="expected version 1 of the ledger .* got 99"):
        SqliteLedger.open(path)


def test_a_rolled_back_transaction_leaves_no_gap(tmp_path: Path) -> None:
    ledger = SqliteLedger.open(tmp_path / "ledger.sqlite")
    at = datetime(2026, 3, 1, tzinfo=UTC)

    def event(name: str) -> OutcomeEvent:
        return OutcomeEvent(name, "d", "renewed", at)

    with pytest.raises(RuntimeError), ledger.transaction():
        ledger.add_outcome(event("a"), counted=True, request=b"")
        raise RuntimeError
    with ledger.transaction():
        with pytest.raises(RuntimeError), ledger.savepoint():
            ledger.add_outcome(event("b"), counted=True, request=b"")
            raise RuntimeError
        assert ledger.add_outcome(event("c"), counted=True, request=b"") == 1
    assert [entry.position for entry in ledger.entries(0, 10)] == [1]
    assert ledger.contacts("nobody", at - timedelta(days=1)) == ()
    ledger.close()
