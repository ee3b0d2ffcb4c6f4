"""A disk that fails to sync: nothing is acknowledged, and nothing relies on what was not synced."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest

from serving.ledger import SqliteLedger, SqliteReader
from serving.ledger.database import LostError
from serving.pace import LONG_S, Pace
from serving.writer import Writer

Serve = Callable[..., AbstractContextManager[httpx.Client]]
AT = "2026-03-02T09:00:00+00:00"


@dataclass
class Disk:
    """What a file system does at each sync.

    Args:
        broken: kinds of files, "wal" or "db", whose syncs fail.
        synced: those that did not.
    """

    broken: set[str] = field(default_factory=set)
    synced: list[str] = field(default_factory=list)

    def sync(self, kind: str) -> None:
        if kind in self.broken:
            raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)
        self.synced.append(kind)


@pytest.fixture
def disk() -> Iterator[Disk]:
    """A disk beneath every SQLite file that this test opens."""
    disk = Disk()

    class File(apsw.VFSFile):
        def __init__(self, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
            path = name.filename() if isinstance(name, apsw.URIFilename) else name
            self.kind = "wal" if str(path).endswith("-wal") else "db"
            super().__init__("unix", name, flags)

        def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
            disk.sync(self.kind)
            super().xSync(flags)

    class System(apsw.VFS):
        def __init__(self) -> None:
            super().__init__("failing", "unix", makedefault=True)

        def xOpen(  # noqa: N802 - SQLite's name
            self, name: str | apsw.URIFilename | None, flags: list[int]
        ) -> apsw.VFSFile:
            return File(name, flags)

    system = System()
    yield disk
    apsw.set_default_vfs("unix")
    system.unregister()


def note(name: str) -> Any:
    return lambda ledger: ledger.note(name, "1")


def test_after_a_failed_sync_nothing_is_acknowledged_until_the_log_is_copied(
    disk: Disk, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.sqlite"

    async def use() -> None:
        writer = Writer(SqliteLedger.open(path))
        try:
            await writer.submit(note("a"))
            disk.broken = {"wal"}
            both = await asyncio.gather(
                writer.submit(note("b")), writer.submit(note("c")), return_exceptions=True
            )
            assert [type(answer).__name__ for answer in both] == ["StateError"] * 2
            assert "the disk could not sync a commit" in str(both[0])
            assert "nothing was committed" not in str(both[0])  # a crash may bring it back
            for broken in ({"wal"}, {"db"}):  # neither can the log be copied
                disk.broken = broken
                with pytest.raises(Exception, match="nothing was committed: the ledger cannot be"):
                    await writer.submit(note("d"))
            disk.broken = set()
            disk.synced.clear()
            await writer.submit(note("e"))
            assert disk.synced[:2] == ["wal", "db"]  # copied before anything else was written
            disk.synced.clear()
            await writer.submit(note("f"))
            assert set(disk.synced) == {"wal"}  # and that only once
        finally:
            disk.broken = set()
            await writer.close()

    asyncio.run(use())
    with closing(SqliteLedger.open(path)) as ledger:
        assert [ledger.note(name) for name in "abcdef"] == ["1", None, None, None, "1", "1"]


def test_a_commit_that_failed_is_whole_or_nothing_after_a_crash(disk: Disk, tmp_path: Path) -> None:
    folder, crashed = tmp_path / "data", tmp_path / "crashed"
    folder.mkdir()
    with closing(SqliteLedger.open(folder / "ledger.sqlite")) as ledger:
        ledger.begin()
        ledger.note("a", "1")
        ledger.commit()
        disk.broken = {"wal"}
        ledger.begin()
        ledger.note("b", "1")
        ledger.note("c", "1")
        with pytest.raises(LostError, match="whether it will be kept is not known"):
            ledger.commit()
        assert (ledger.note("b"), ledger.note("c")) == (None, None)
        disk.broken = set()
        shutil.copytree(folder, crashed)
        disk.synced.clear()
        with closing(SqliteLedger.open(crashed / "ledger.sqlite")) as after:
            assert disk.synced[-1] == "db"  # what is found is safe before it is relied on
            assert after.note("a") == "1"
            assert after.note("b") == after.note("c")


def kinds(folder: Path) -> list[str]:
    with closing(SqliteReader.open(folder / "ledger.sqlite")) as reader:
        return [entry.kind for entry in reader.entries(0, 100)]


def test_a_failed_sync_is_503(
    disk: Disk, serve: Serve, tmp_path: Path, features: dict[str, Any]
) -> None:
    def ask(customer: str) -> httpx.Response:
        body = {"agent": "retention", "customer": customer, "features": features, "at": AT}
        return client.post("/v1/decisions", json=body, headers={"Idempotency-Key": customer})

    with serve() as client:
        disk.synced.clear()
        made = ask("ann").json()["decision_id"]
        assert disk.synced  # it was on disk before it was answered
        event = {"outcome_id": "o", "decision_id": made, "outcome": "renewed", "at": AT}
        disk.broken = {"wal", "db"}
        try:
            refused = [ask("bob"), ask("bob"), client.post("/v1/outcomes", json=event)]
        finally:
            disk.broken = set()
        for answer in refused:
            assert answer.status_code == 503, answer.text
            assert answer.headers["Retry-After"] == "1"
        assert ask("ann").json()["decision_id"] == made  # what was answered is still there
        again = ask("bob")
        assert again.status_code == 200
        assert "Idempotent-Replay" not in again.headers
        assert client.post("/v1/outcomes", json=event).json()["replayed"] is False
        assert kinds(tmp_path / "data") == ["revision", "decision", "decision", "outcome"]
    with serve() as client:  # and after a restart
        assert ask("bob").headers["Idempotent-Replay"] == "true"


def test_commits_leave_the_loop_when_they_are_slow_and_come_back() -> None:
    pace, here = Pace(), []
    for _ in range(60):
        here.append(pace.here)
        pace.note(2 * LONG_S)
    assert [number for number, loop in enumerate(here) if loop] == [0, 1, 18, 51]
    while not pace.here:
        pace.note(LONG_S / 2)
    pace.note(LONG_S / 2)
    assert pace.here
    pace.note(2 * LONG_S)
    for _ in range(16):  # as at first
        assert not pace.here
        pace.note(2 * LONG_S)
    assert pace.here


def test_a_commit_that_is_slow_now_and_then_is_no_slow_disk() -> None:
    pace = Pace()
    for number in range(200):
        pace.note(2 * LONG_S if number % 20 == 0 else LONG_S / 2)
        assert pace.here
    pace.note(2 * LONG_S)
    pace.note(2 * LONG_S)
    assert not pace.here
