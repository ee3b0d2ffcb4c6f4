"""A disk that is full, a commit that fails, files that are not what they were."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from agents.context import Context
from agents.errors import StateError
from agents.mask import Mask
from policies.base import Distribution
from policies.hybrid import HybridThompson
from serving.clock import MachineClock, make_clock
from serving.ledger import Ledger, SqliteLedger, SqliteReader
from serving.runtime import run
from serving.settings import Settings, load_keys, prepare_data
from serving.writer import Writer

Serve = Callable[..., AbstractContextManager[httpx.Client]]
Submit = Callable[[httpx.Client, str, str], httpx.Response]
Features = dict[str, Any]
AT = "2026-03-02T09:00:00+00:00"


def ask(features: Features, customer: str) -> dict[str, Any]:
    return {"agent": "retention", "customer": customer, "features": features, "at": AT}


@contextmanager
def full_disk(data: Path) -> Iterator[None]:
    """Let no file of this process grow beyond the size that the write-ahead log has now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (data / "ledger.sqlite-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def kinds(data: Path) -> list[str]:
    reader = SqliteReader.open(data / "ledger.sqlite")
    entries = reader.entries(0, 10_000)
    reader.close()
    assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
    return [entry.kind for entry in entries]


def test_a_full_disk_is_503_and_leaves_nothing_behind(
    client: httpx.Client, tmp_path: Path, features: Features, workspace: Path, submit: Submit
) -> None:
    data = tmp_path / "data"
    key = {"Idempotency-Key": "visit"}
    made = client.post("/v1/decisions", json=ask(features, "ann")).json()["decision_id"]
    event = {"outcome_id": "o", "decision_id": made, "outcome": "renewed", "at": AT}
    before = client.get("/v1/agents/retention").json()
    text = (workspace / "agents" / "retention.yaml").read_text()
    fewer = text.replace("channels: [email, push]", "channels: [push]")
    with full_disk(data):
        refused = [
            client.post("/v1/decisions", json=ask(features, "bob"), headers=key),
            client.post("/v1/outcomes", json=event),
            client.put("/v1/agents/retention", content=fewer),
        ]
        ready = client.get("/readyz").json()["agents"]["retention"]
    for answer in refused:
        assert answer.status_code == 503, answer.text
        assert answer.headers["Retry-After"] == "1"
    assert kinds(data) == ["revision", "decision"]
    # memory is not ahead of the ledger: the revision that was not committed does not decide
    assert ready["revision"] == before["revision"]
    assert client.get("/v1/agents/retention").json() == before
    again = client.post("/v1/decisions", json=ask(features, "bob"), headers=key)
    assert again.status_code == 200
    assert "Idempotent-Replay" not in again.headers
    assert again.json()["revision"] == before["revision"]
    assert client.post("/v1/outcomes", json=event).json()["replayed"] is False
    assert submit(client, "retention", fewer).json()["changed"] is True
    assert kinds(data) == ["revision", "decision", "decision", "outcome", "revision"]


def with_writer(path: Path, use: Callable[[Writer, SqliteLedger], Any]) -> Any:
    async def opened() -> Any:
        ledger = SqliteLedger.open(path)
        writer = Writer(ledger)
        try:
            return await asyncio.wait_for(use(writer, ledger), 10)
        finally:
            await writer.close()

    return asyncio.run(opened())


async def results(writer: Writer, *jobs: Callable[[Ledger], Any]) -> list[Any]:
    return await asyncio.gather(*map(writer.submit, jobs), return_exceptions=True)


def test_no_job_commits_alone_after_the_transaction_was_undone(tmp_path: Path) -> None:
    """SQLite undoes the whole transaction on some errors; a savepoint would then open another."""
    path = tmp_path / "ledger.sqlite"

    def loses_the_transaction(ledger: Ledger) -> None:
        ledger.rollback()
        raise ValueError("as after a full disk")

    async def use(writer: Writer, _ledger: SqliteLedger) -> None:
        answers = await results(
            writer,
            lambda ledger: ledger.note("before", "1"),
            loses_the_transaction,
            lambda ledger: ledger.note("after", "1"),
        )
        assert all(isinstance(answer, StateError) for answer in answers), answers
        assert await results(writer, lambda ledger: ledger.note("next", "1")) == ["1"]

    with_writer(path, use)
    ledger = SqliteLedger.open(path)
    assert [ledger.note(name) for name in ("before", "after", "next")] == [None, None, "1"]
    ledger.close()


def test_an_error_of_the_database_is_told_as_ours(tmp_path: Path) -> None:
    async def use(writer: Writer, ledger: SqliteLedger) -> None:
        ledger._db.rows("PRAGMA max_page_count=1")  # as good as a full disk
        big = "x" * 100_000
        (answer,) = await results(writer, lambda ledger: ledger.note("big", big))
        assert isinstance(answer, StateError)
        ledger._db.rows("PRAGMA max_page_count=1000000")
        assert await results(writer, lambda ledger: ledger.note("big", big)) == [big]

    with_writer(tmp_path / "ledger.sqlite", use)


@pytest.mark.parametrize("failing", ["rollback", "commit", "begin"])
def test_nobody_hangs_whatever_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def fails(_ledger: Any) -> None:
        raise StateError(f"no {failing}")

    async def use(writer: Writer, _ledger: SqliteLedger) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(SqliteLedger, failing, fails)
            patch.setattr(SqliteLedger, "commit", fails)
            (answer,) = await results(writer, lambda ledger: ledger.note("a", "1"))
            assert isinstance(answer, StateError)
        assert await results(writer, lambda ledger: ledger.note("b", "2")) == ["2"]
        assert await results(writer, lambda ledger: ledger.note("a")) == [None]

    with_writer(tmp_path / "ledger.sqlite", use)


def test_a_job_may_end_in_any_exception(tmp_path: Path) -> None:
    def stops(_ledger: Ledger) -> None:
        raise StopIteration

    async def use(writer: Writer, _ledger: SqliteLedger) -> None:
        first, second = await results(writer, stops, lambda ledger: ledger.note("a", "1"))
        assert isinstance(first, RuntimeError)
        assert second == "1"

    with_writer(tmp_path / "ledger.sqlite", use)


def test_a_writer_whose_task_has_died_dismisses_everybody(tmp_path: Path) -> None:
    async def use(writer: Writer, _ledger: SqliteLedger) -> None:
        writer._task.cancel()
        (answer,) = await results(writer, lambda ledger: ledger.note("a", "1"))
        assert isinstance(answer, StateError)
        assert not writer.alive

    with pytest.raises(asyncio.CancelledError):  # from `close`, which closes the ledger first
        with_writer(tmp_path / "ledger.sqlite", use)
    SqliteLedger.open(tmp_path / "ledger.sqlite", wait_s=0.0).close()


def test_what_is_no_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.sqlite"
    garbage.write_bytes(b"not a database" * 1_000)
    with pytest.raises(StateError, match="cannot be opened: .*not a database"):
        SqliteLedger.open(garbage)
    assert garbage.read_bytes() == b"not a database" * 1_000

    foreign = tmp_path / "foreign.sqlite"
    with sqlite3.connect(foreign) as database:
        database.execute("CREATE TABLE log (line TEXT)")
    database.close()
    content = foreign.read_bytes()
    with pytest.raises(StateError, match="got another program's database"):
        SqliteLedger.open(foreign)
    assert foreign.read_bytes() == content


def test_a_reader_tells_a_damaged_ledger_from_none(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.sqlite"
    garbage.write_bytes(b"x" * 10_000)
    with pytest.raises(StateError, match="expected a ledger at .*not a database"):
        SqliteReader.open(garbage)


def test_the_data_folder_is_private(serve: Serve, tmp_path: Path, features: Features) -> None:
    data = tmp_path / "data"
    with serve() as client:
        client.post("/v1/decisions", json=ask(features, "ann"))
        assert data.stat().st_mode & 0o077 == 0
        for file in [*data.glob("ledger*"), *data.rglob("*.key")]:
            assert file.stat().st_mode & 0o077 == 0, file
        assert len(list(data.glob("ledger.sqlite*"))) == 3  # with its log and shared memory


def test_keys_are_never_made_anew_beside_a_ledger(tmp_path: Path) -> None:
    prepare_data(tmp_path / "data")
    load_keys(tmp_path / "data")
    SqliteLedger.open(tmp_path / "data" / "ledger.sqlite").close()
    (tmp_path / "data" / "keys" / "draw.key").unlink()
    with pytest.raises(StateError, match=r"not the key .*draw\.key; bring it back from a backup"):
        load_keys(tmp_path / "data")


def test_a_key_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(_target: Path, *_: object) -> None:
        raise OSError("the power went")

    with monkeypatch.context() as patch, pytest.raises(StateError):
        patch.setattr("os.fsync", lambda _handle: dies(tmp_path))
        load_keys(tmp_path)
    assert list((tmp_path / "keys").iterdir()) == []
    load_keys(tmp_path)


def test_the_machine_clock_fails_closed_when_it_was_set_back() -> None:
    start = datetime(2026, 3, 2, 9, tzinfo=UTC)
    times = [start, start - timedelta(seconds=4), start - timedelta(hours=1), start]
    clock = MachineClock(None, iter(times).__next__)
    assert clock.now(None) == start
    assert clock.now(None) == start  # a little behind: it stands still
    with pytest.raises(StateError, match="the machine's clock shows 2026-03-02T08:00:00"):
        clock.now(None)
    assert clock.now(None) == start


def test_a_server_does_not_start_behind_its_ledger(
    serve: Serve, workspace: Path, tmp_path: Path, features: Features
) -> None:
    with serve() as client:
        late = ask(features, "ann") | {"at": "2190-03-02T09:00:00Z"}
        assert client.post("/v1/decisions", json=late).status_code == 200
    reader = SqliteReader.open(Settings(workspace, tmp_path / "data").ledger)
    last = reader.last_instant()
    reader.close()
    assert last == datetime(2190, 3, 2, 9, tzinfo=UTC)
    told = "choose another --data if that was a simulation's time"
    ledger = SqliteLedger.open(tmp_path / "data" / "ledger.sqlite")
    with closing(ledger), pytest.raises(StateError, match=told):
        make_clock("machine", ledger)

    async def start() -> None:
        async with run(Settings(workspace, tmp_path / "data", clock="machine")):
            pass

    with pytest.raises(StateError, match="set the clock right"):
        asyncio.run(start())
    SqliteLedger.open(tmp_path / "data" / "ledger.sqlite", wait_s=0.0).close()


@pytest.mark.parametrize("broken", [False, True])
def test_policies_are_asked_before_the_server_is_ready(
    workspace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    broken: bool,
) -> None:
    """One that cannot answer is reported, and keeps no other agent from being served."""
    asked, answer = [], HybridThompson.distribution

    def spy(policy: HybridThompson, context: Context, mask: Mask) -> Distribution:
        asked.append(context.customer)
        if broken:
            raise FloatingPointError
        return answer(policy, context, mask)

    monkeypatch.setattr(HybridThompson, "distribution", spy)

    async def start() -> int:
        async with run(Settings(workspace, tmp_path / "data", clock="machine")):
            return len(asked)

    assert asyncio.run(start()) > 0
    assert ("the policy of retention could not be rehearsed" in caplog.text) is broken


def test_a_policy_that_answers_nan_decides_nothing(
    client: httpx.Client, features: Features, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(_self: HybridThompson, _context: object, mask: Any) -> Distribution:
        return Distribution(np.full(len(mask.reasons), np.nan), np.full(len(mask.reasons), np.nan))

    monkeypatch.setattr(HybridThompson, "distribution", nowhere)
    answers = [client.post("/v1/decisions", json=ask(features, f"c{n}")) for n in range(20)]
    assert {answer.status_code for answer in answers} == {200, 503}
    assert {answer.json()["group"] for answer in answers if answer.status_code == 200} <= {
        "control", "random"
    }  # fmt: skip


def test_a_ledger_overwritten_under_a_running_server_is_503(
    serve: Serve, tmp_path: Path, features: Features
) -> None:
    data = tmp_path / "data"
    with serve() as client:
        made = client.post("/v1/decisions", json=ask(features, "ann")).json()["decision_id"]
    garbage = b"\x5a" * 200_000
    with serve() as client:
        with (data / "ledger.sqlite").open("r+b") as file:
            file.write(garbage)
        event = {"outcome_id": "o", "decision_id": made, "outcome": "renewed", "at": AT}
        answers = [
            client.get(f"/v1/decisions/{made}"),
            client.post("/v1/decisions", json=ask(features, "bob")),
            client.post("/v1/outcomes", json=event),
            client.get("/v1/agents"),
            client.get("/readyz"),
        ]
        assert {answer.status_code for answer in answers} <= {200, 503}
        assert answers[0].status_code == 503
        assert client.get("/healthz").is_success
    with pytest.raises(StateError, match="cannot be opened"):
        SqliteLedger.open(data / "ledger.sqlite")


def test_logs_and_problems_hold_nothing_of_a_customer(
    client: httpx.Client, features: Features, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    body = ask(features | {"monthly_bill": 123.456}, "canary-bird")
    with caplog.at_level("DEBUG"):
        made = client.post("/v1/decisions", json=body).json()["decision_id"]
        wrong = {"outcome_id": "o", "decision_id": made, "outcome": "renwed", "at": AT}
        texts = [client.post("/v1/outcomes", json=wrong).text]
        with full_disk(tmp_path / "data"):
            texts.append(client.post("/v1/decisions", json=body).text)
        monkeypatch.setattr(SqliteLedger, "past", lambda *_: 1 / 0)
        answer = client.post("/v1/decisions", json=body)
        assert answer.status_code == 500
        texts.append(answer.text)
    keys = load_keys(tmp_path / "data")
    secrets = ["canary", "123.456", *(key.hex() for key in (keys.draw, keys.snapshot))]
    for text in (*texts, caplog.text):
        assert not any(secret in text for secret in secrets), text
    assert "a commit failed" in caplog.text
