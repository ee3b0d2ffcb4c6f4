"""Parts that are told to end while they begin, or while others go on: none waits or stays."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from agents.errors import StateError
from serving.keeping.shipping_process import Shipper
from serving.learning import learner_process
from serving.ledger import Ledger, SqliteLedger
from serving.running.private_postgres import PrivatePostgres
from serving.settings import Settings
from serving.stopping import Stop
from serving.writer import Writer


class Endless:
    """A learner whose ledger always has more: others decide as fast as it learns."""

    def __init__(self, ledger: SimpleNamespace) -> None:
        self.ledger, self.position, self.published = ledger, 0, False

    def resume(self) -> None:
        pass

    def step(self) -> int:
        assert self.position < 100, "it learns on and on"
        self.position += 1
        return 1

    def publish(self, *, force: bool = False) -> None:
        self.published |= force


def test_a_learner_that_is_told_to_end_learns_up_to_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = SimpleNamespace(closed=False, asked=7)

    def last_position() -> int:
        reader.asked += 1
        return int(reader.asked)

    reader.last_position, reader.close = last_position, lambda: setattr(reader, "closed", True)
    learner = Endless(reader)
    monkeypatch.setattr(learner_process, "open_reader", lambda _settings: reader)
    monkeypatch.setattr(learner_process, "Learner", lambda *_: learner)
    stop = Stop()
    stop.set()
    learner_process.run(Settings(tmp_path, tmp_path), stop, os.getppid())
    assert (learner.position, learner.published, reader.closed) == (8, True, True)


def test_nobody_is_answered_when_a_commit_and_its_undoing_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_ledger: Ledger) -> None:
        monkeypatch.setattr(SqliteLedger, "rollback", fail_badly)
        raise StateError("the disk is full")

    def fail_badly(_ledger: Ledger) -> None:
        raise RuntimeError("out of order")

    async def use() -> None:
        writer = Writer(SqliteLedger.open(tmp_path / "ledger.sqlite"))
        monkeypatch.setattr(SqliteLedger, "commit", fail)
        first = writer.submit(lambda ledger: ledger.note("a", "1"))
        with pytest.raises(StateError, match="nothing was committed: the disk is full"):
            await first
        assert not writer.alive
        monkeypatch.undo()
        with pytest.raises(StateError, match="the ledger has stopped"):
            writer.submit(lambda ledger: ledger.note("b", "2"))
        with pytest.raises(RuntimeError, match="out of order"):
            await writer.close()

    asyncio.run(use())


def test_a_run_of_shipping_that_begins_at_the_end_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread comes to its turn only after the end has looked for a process to kill."""
    settings = Settings(tmp_path, tmp_path)
    turn = threading.Event()

    class Late(Shipper):
        def _ship(self) -> str:
            assert turn.wait(20)
            return super()._ship()

    async def use() -> str:
        shipper = Late(settings)
        shipper.start()
        await asyncio.sleep(0)
        closing = asyncio.create_task(shipper.close())
        await asyncio.sleep(0)
        turn.set()
        await closing
        return shipper.error

    assert asyncio.run(use()) == "the server ends"


def test_a_postgres_that_does_not_answer_is_not_left_behind(
    monkeypatch: pytest.MonkeyPatch, postgres: PrivatePostgres
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("psycopg.connect", refuse)
    with tempfile.TemporaryDirectory(prefix="nextbest-postgres-") as name:
        with pytest.raises(KeyboardInterrupt):
            PrivatePostgres(Path(name))
        assert not (Path(name) / "data" / "postmaster.pid").exists()
