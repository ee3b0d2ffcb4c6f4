"""Snapshots that are damaged, of another learner, or newer than the ledger."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.errors import SnapshotError, StateError
from policies.snapshot import Manifest
from serving.learning.learner import Learner
from serving.learning.learner_process import LearnerSupervisor
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import SqliteLedger, SqliteReader
from serving.runtime import run
from serving.settings import Settings, load_keys

Serve = Callable[..., AbstractContextManager[httpx.Client]]
Submit = Callable[[httpx.Client, str, str], httpx.Response]
Features = dict[str, Any]
AT = "2026-03-02T09:00:00+00:00"


def drive(client: httpx.Client, features: Features, first: int, count: int) -> None:
    for number in range(first, first + count):
        body = {"agent": "retention", "customer": f"c{number}", "features": features, "at": AT}
        answer = client.post("/v1/decisions", json=body).json()
        event = {"outcome_id": f"o{number}", "decision_id": answer["decision_id"], "at": AT}
        assert client.post("/v1/outcomes", json=event | {"outcome": "renewed"}).is_success


@contextmanager
def learner(data: Path, folder: str = "snapshots") -> Iterator[Learner]:
    reader = SqliteReader.open(data / "ledger.sqlite")
    snapshots = SnapshotFolder(data / folder, load_keys(data).snapshot)
    learner = Learner(reader, snapshots, every_s=0.0)
    learner.resume()
    yield learner
    reader.close()


def learn(data: Path, steps: int = 1_000, folder: str = "snapshots") -> str | None:
    """Let a learner start, read some batches, publish, and end; return its newest snapshot."""
    with learner(data, folder) as pupil:
        for _ in range(steps):
            if not pupil.step():
                break
        pupil.publish()
        return pupil.snapshots.latest("retention")


def path(data: Path, name: str | None) -> Path:
    return data / "snapshots" / "retention" / f"{name}.snapshot"


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def snapshot_in_use(client: httpx.Client) -> str:
    snapshot: str = client.get("/readyz").json()["agents"]["retention"]["snapshot"]
    return snapshot


def wait_until(client: httpx.Client, snapshot: str | None) -> None:
    deadline = time.monotonic() + 10
    while snapshot_in_use(client) != snapshot:
        assert time.monotonic() < deadline, f"{snapshot_in_use(client)} instead of {snapshot}"
        time.sleep(0.02)


def test_a_damaged_newest_snapshot_stops_neither_server_nor_learner(
    serve: Serve, tmp_path: Path, features: Features, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "data"
    with serve() as client:
        drive(client, features, 0, 20)
        older = learn(data)
        drive(client, features, 20, 20)
        newest = learn(data)
    damage(path(data, newest))
    (path(data, "zzz")).write_bytes(b"")  # no snapshot's name
    caplog.clear()
    with serve() as client:
        assert snapshot_in_use(client) == older != newest
        assert f"snapshot {newest} of retention is passed over" in caplog.text
        drive(client, features, 40, 10)
        newer = learn(data)  # goes on from the older one
        wait_until(client, newer)
    assert newer is not None
    assert learn(data, folder="whole") == newer  # the same bytes as without any accident


def test_a_damaged_snapshot_is_passed_over_while_serving(
    serve: Serve, tmp_path: Path, features: Features
) -> None:
    data = tmp_path / "data"
    snapshots = data / "snapshots"
    with serve() as client:
        drive(client, features, 0, 10)
        first = learn(data, folder="aside")
        drive(client, features, 10, 10)
        second = learn(data, folder="aside")
        damage(data / "aside" / "retention" / f"{second}.snapshot")
        (data / "aside").rename(snapshots)  # both appear at once
        wait_until(client, first)
        drive(client, features, 20, 10)
        wait_until(client, learn(data))


def test_without_any_good_snapshot_both_begin_anew(
    serve: Serve, tmp_path: Path, features: Features
) -> None:
    data = tmp_path / "data"
    with serve() as client:
        drive(client, features, 0, 20)
        name = learn(data)
    path(data, name).write_bytes(b"{}\nno state")
    with serve() as client:
        assert snapshot_in_use(client) == ""
        drive(client, features, 20, 5)
        assert learn(data) == learn(data, folder="whole")


def test_another_learner_with_settings_of_its_own_is_taught_while_serving(
    serve: Serve, tmp_path: Path, features: Features, workspace: Path, submit: Submit
) -> None:
    """The newest snapshot is of the learner before, which knows no such setting."""
    data = tmp_path / "data"
    text = (workspace / "agents" / "retention.yaml").read_text()
    other = "learner: vw_epsilon\n  settings: {epsilon: 0.1}"
    with serve() as client:
        drive(client, features, 0, 10)
        wait_until(client, learn(data))
        changed = text.replace("learner: hybrid_thompson", other)
        assert submit(client, "retention", changed).json()["changed"]
        assert snapshot_in_use(client) == ""
        time.sleep(0.3)  # six looks of the watch at the snapshot of the learner before
        drive(client, features, 10, 10)
        taught = learn(data)
        wait_until(client, taught)
        assert submit(client, "retention", text).json()["changed"]
        drive(client, features, 20, 10)
        wait_until(client, learn(data))
    assert learn(data, folder="whole") == learn(data)


def test_an_agent_that_was_added_later_is_learned(
    serve: Serve, tmp_path: Path, features: Features, workspace: Path, submit: Submit
) -> None:
    data = tmp_path / "data"
    text = (workspace / "agents" / "retention.yaml").read_text()
    second = text.replace("agent: retention", "agent: winback")
    with serve() as client:
        drive(client, features, 0, 10)
        learn(data)
        assert submit(client, "winback", second).json()["changed"]
        for customer in range(20):
            body = {"agent": "winback", "customer": f"w{customer}", "features": features, "at": AT}
            assert client.post("/v1/decisions", json=body).is_success
        drive(client, features, 10, 10)
    for _ in range(2):  # once beside a snapshot of one agent, once beside both
        assert learn(data) == learn(data, folder="whole")
    one, two = (SnapshotFolder(data / f, b"").latest("winback") for f in ("snapshots", "whole"))
    assert one == two is not None


def spoil(data: Path, sql: str, body: bytes) -> None:
    with closing(SqliteLedger.open(data / "ledger.sqlite", wait_s=0.0)) as ledger:
        ledger._db.rows(sql, (body,) * sql.count("?"))


@pytest.mark.parametrize(
    ("sql", "body"),
    [
        ("UPDATE log SET record = ? WHERE position = 10", b"no JSON"),
        ("UPDATE log SET record = ? WHERE position = 3", b"[]"),
        ("UPDATE log SET record = ? WHERE position = 4", b'{"agent": "retention"}'),
        ("UPDATE log SET id = NULL WHERE position IN (2, 4, 6, 8)", b""),
        (
            "INSERT INTO log (position, kind, record) VALUES (42, 'revision', ?)",
            b'{"agent": "ghost", "revision": "0"}',
        ),
    ],
)
def test_one_bad_entry_keeps_nothing_else_from_being_learned(
    serve: Serve,
    tmp_path: Path,
    features: Features,
    sql: str,
    body: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = tmp_path / "data"
    with serve() as client:
        drive(client, features, 0, 20)
    with learner(data, "whole") as whole:
        while whole.step():
            pass
    spoil(data, sql, body)
    caplog.clear()
    with learner(data) as spoilt:
        while spoilt.step():
            pass
    assert "cannot be learned and is passed over" in caplog.text
    assert "plan" not in caplog.text  # nothing of a customer's
    lessons = spoilt.pupils["retention"].lessons
    assert 0 < lessons <= whole.pupils["retention"].lessons
    assert spoilt.position >= whole.position


def test_snapshots_of_a_lost_future_are_set_aside(
    serve: Serve, tmp_path: Path, features: Features
) -> None:
    """An older ledger came back from a backup; what was learned since must not hide what comes."""
    data = tmp_path / "data"
    with serve() as client:
        drive(client, features, 0, 10)
        first = learn(data)
    shutil.copytree(data, tmp_path / "backup")
    with serve() as client:
        drive(client, features, 10, 10)
        lost = learn(data)
    for file in data.glob("ledger.sqlite*"):
        file.unlink()
    shutil.copy(tmp_path / "backup" / "ledger.sqlite", data)
    with serve() as client:
        assert snapshot_in_use(client) == first
        drive(client, features, 100, 2)
        newest = learn(data)
        assert newest is not None
        assert first is not None
        assert lost is not None
        assert first < newest < lost
        wait_until(client, newest)
    assert path(data, lost).with_suffix(".aside").exists()


def test_a_ledger_that_is_gone_is_not_begun_anew(
    serve: Serve, tmp_path: Path, features: Features
) -> None:
    """Every cap and budget would be forgotten."""
    data = tmp_path / "data"
    with serve() as client:
        drive(client, features, 0, 10)
        learn(data)
    for file in data.glob("ledger.sqlite*"):
        file.unlink()
    settings = Settings(tmp_path / "telecom", data, clock="driven")

    async def start() -> None:
        async with run(settings):
            pass

    with pytest.raises(StateError, match="the ledger is empty; bring it back from a backup"):
        asyncio.run(start())


def manifest(state: bytes, agent: str = "retention", position: int = 1) -> Manifest:
    return Manifest.of(
        state, policy="uniform", agent=agent, revision="r", position=position, lessons=1
    )


def test_a_snapshot_under_another_name_is_refused(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path, b"k" * 32)
    name = folder.publish(manifest(b"one"), b"one")
    sealed = tmp_path / "retention" / f"{name}.snapshot"
    later = name.replace("000000000001", "000000000009")
    shutil.copy(sealed, sealed.with_name(f"{later}.snapshot"))
    (tmp_path / "winback").mkdir()
    shutil.copy(sealed, tmp_path / "winback")
    for agent, wrong in (("retention", later), ("winback", name)):
        with pytest.raises(SnapshotError, match=f"expected snapshot {wrong} of {agent}, got"):
            folder.read(agent, wrong)
    assert folder.newest("retention", lambda _manifest, state: state) == (name, b"one")


def test_a_snapshot_that_cannot_be_written_leaves_nothing_and_is_tried_again(
    serve: Serve, tmp_path: Path, features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    data = tmp_path / "data"
    with serve() as client:
        drive(client, features, 0, 10)
    with learner(data) as pupil:
        while pupil.step():
            pass
        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", full)
            assert pupil.publish() == []
        assert list((data / "snapshots").rglob("*.*")) == []
        assert len(pupil.publish()) == 1


def test_a_supervisor_closed_at_once_leaves_no_learner(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(tmp_path, tmp_path / "data", snapshot_every_s=0.1, poll_s=0.05)
    with serve():
        for _ in range(3):
            supervisor = LearnerSupervisor(settings)
            supervisor.close(patience_s=10.0)
            assert supervisor.pid is None
            assert not supervisor._thread.is_alive()


def test_a_learner_that_cannot_run_is_started_ever_more_rarely(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no ledger here, so each learner ends at once."""
    with caplog.at_level(logging.WARNING, "nextbest.learner"):
        supervisor = LearnerSupervisor(Settings(tmp_path, tmp_path), pause_s=0.01)
        deadline = time.monotonic() + 20
        while len(caplog.messages) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        supervisor.close()
    pauses = [message.rpartition(" in ")[2] for message in caplog.messages[:3]]
    assert pauses == ["0.01 s", "0.02 s", "0.04 s"]
