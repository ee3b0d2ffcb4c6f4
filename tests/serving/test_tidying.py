"""Snapshots that nobody needs go, and no other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import httpx
import pytest

from policies.snapshot import Manifest
from serving.learning.snapshots import SnapshotFolder
from serving.learning.tidying import YOUNG_S, Tidier
from serving.ledger import Entry, LedgerReader, SqliteReader
from serving.settings import load_keys

Serve = Callable[..., AbstractContextManager[httpx.Client]]


def publish(folder: SnapshotFolder, position: int, policy: str = "hybrid_thompson") -> str:
    """Write a snapshot that is two days old."""
    state = b"state %d" % position
    manifest = Manifest.of(
        state, policy=policy, agent="retention", revision="r", position=position, lessons=0,
        teacher={},
    )  # fmt: skip
    name = folder.publish(manifest, state)
    age(folder, name, 2 * YOUNG_S)
    return name


def age(folder: SnapshotFolder, name: str, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(folder.folder / "retention" / f"{name}.snapshot", (then, then))


@pytest.fixture
def folder(tmp_path: Path) -> SnapshotFolder:
    return SnapshotFolder(tmp_path / "snapshots", b"k" * 32)


class Log(LedgerReader):
    """A log that names snapshots."""

    def __init__(self, *named: str) -> None:
        self.named = list(named)

    def entries(self, after: int, limit: int, *, stored: bool = False) -> list[Entry]:
        assert stored  # no more of them is needed
        rows = [
            Entry(position, "decision", {"agent": "retention", "snapshot": name})
            for position, name in enumerate(self.named, 1)
            if name
        ]
        return [row for row in rows if row.position > after][:limit]

    def first_decision(self) -> int:
        return next((n for n, name in enumerate(self.named, 1) if name), len(self.named) + 1)


def test_only_what_a_decision_names_and_the_newest_stay(folder: SnapshotFolder) -> None:
    names = [publish(folder, position) for position in range(1, 7)]
    log = Log(names[1], names[3], names[3])
    assert Tidier(log, folder).tidy(time.time()) == 3
    assert folder.names("retention") == [names[5], names[3], names[1]]


def test_a_snapshot_goes_when_the_last_decision_that_names_it_has(folder: SnapshotFolder) -> None:
    names = [publish(folder, position) for position in range(1, 4)]
    log = Log(names[0], names[1], names[2])
    tidier = Tidier(log, folder)
    tidier.work(every_s=0.0)
    assert len(folder.names("retention")) == 3
    log.named[0] = ""
    tidier.work(every_s=0.0)
    assert folder.names("retention") == [names[2], names[1]]


def test_what_is_young_stays(folder: SnapshotFolder) -> None:
    names = [publish(folder, position) for position in range(1, 4)]
    age(folder, names[0], YOUNG_S - 60)
    Tidier(Log(), folder).work(every_s=0.0)
    assert folder.names("retention") == [names[2], names[0]]


def test_an_unusable_newest_one_does_not_let_the_usable_one_go(folder: SnapshotFolder) -> None:
    names = [publish(folder, position) for position in range(1, 4)]
    path = folder.folder / "retention" / f"{names[2]}.snapshot"
    path.write_bytes(path.read_bytes()[:-1])
    age(folder, names[2], 2 * YOUNG_S)
    Tidier(Log(), folder).work(every_s=0.0)
    assert folder.names("retention") == [names[2], names[1]]


def test_the_newest_of_each_learner_stays(folder: SnapshotFolder) -> None:
    old = [publish(folder, position) for position in (1, 2)]
    new = [publish(folder, position, "linear_thompson") for position in (3, 4)]
    Tidier(Log(), folder).work(every_s=0.0)
    assert folder.names("retention") == [new[1], old[1]]


def test_it_is_done_as_often_as_is_asked(folder: SnapshotFolder) -> None:
    tidier = Tidier(Log(), folder)
    tidier.work(every_s=1e9)
    names = [publish(folder, position) for position in (1, 2)]
    tidier.work(every_s=1e9)
    assert folder.names("retention") == [names[1], names[0]]


def test_a_ledger_of_a_server_is_read(serve: Serve, tmp_path: Path) -> None:
    with serve() as client:
        body = {"agent": "retention", "customer": "ann", "at": "2026-03-02T09:00:00Z"}
        assert client.post("/v1/decisions", json=body).status_code == 200
        snapshots = SnapshotFolder(
            tmp_path / "data" / "snapshots", load_keys(tmp_path / "data").snapshot
        )
        with closing(SqliteReader.open(tmp_path / "data" / "ledger.sqlite")) as reader:
            tidier = Tidier(reader, snapshots)
            assert not tidier.read()
            assert tidier.tidy(time.time()) == 0
            assert tidier.position == reader.last_position()
            assert reader.first_decision() == reader.last_position()


def test_what_the_learner_reads_need_not_be_read_again(folder: SnapshotFolder) -> None:
    log = Log("a", "b", "c")
    tidier = Tidier(log, folder)
    first, *rest = log.entries(0, 9, stored=True)
    tidier.show(1, rest)  # it has not come so far
    assert tidier.position == 0
    tidier.show(0, [first])
    tidier.show(1, rest)
    tidier.show(3, [])
    assert tidier.position == 3
    assert not tidier.read()
