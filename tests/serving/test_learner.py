"""The learner against a real server and a real ledger."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.revision import Revision
from policies.decide import replay
from policies.registry import create_policy
from serving.learning.learner import Learner
from serving.learning.learner_process import LearnerSupervisor
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import SqliteReader
from serving.settings import Settings, load_keys

Serve = Callable[..., AbstractContextManager[httpx.Client]]
Submit = Callable[[httpx.Client, str, str], httpx.Response]


def drive(client: httpx.Client, features: dict[str, Any], first: int, count: int) -> None:
    """Make decisions, and let every third contacted customer renew a day later."""
    for number in range(first, first + count):
        body = {
            "agent": "retention",
            "customer": f"c{number}",
            "features": features | {"tenure_months": number % 60},
            "at": "2026-03-02T09:00:00+00:00",
        }
        answer = client.post("/v1/decisions", json=body).json()
        if number % 3 == 0:
            event = {
                "outcome_id": f"o{number}",
                "decision_id": answer["decision_id"],
                "outcome": "renewed",
                "at": "2026-03-03T09:00:00+00:00",
            }
            assert client.post("/v1/outcomes", json=event).status_code == 200


def learner(data: Path, folder: str = "snapshots") -> Learner:
    keys = load_keys(data)
    snapshots = SnapshotFolder(data / folder, keys.snapshot)
    return Learner(SqliteReader.open(data / "ledger.sqlite"), snapshots, every_s=0.0)


def learn_all(learner: Learner) -> None:
    while learner.step():
        pass


def test_interrupted_learning_ends_in_the_same_bytes(
    serve: Serve, tmp_path: Path, features: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve() as client:
        drive(client, features, 0, 60)
    data = tmp_path / "data"
    whole = learner(data, "whole")
    learn_all(whole)
    whole.publish()

    monkeypatch.setattr("serving.learning.learner.BATCH", 17)
    for _ in range(3):  # each time it dies without a word after its snapshot
        part = learner(data)
        part.resume()
        part.step()
        part.publish()
    rest = learner(data)
    rest.resume()
    assert rest.position > 0
    learn_all(rest)
    rest.publish()
    ours, theirs = rest.pupils["retention"], whole.pupils["retention"]
    assert ours.policy.to_bytes() == theirs.policy.to_bytes()
    assert ours.lessons == theirs.lessons
    assert rest.snapshots.latest("retention") == whole.snapshots.latest("retention")


def test_only_treatment_is_learned_from(
    serve: Serve, tmp_path: Path, features: dict[str, Any]
) -> None:
    with serve() as client:
        drive(client, features, 0, 40)
    taught = learner(tmp_path / "data")
    learn_all(taught)
    entries = taught.ledger.entries(0, 1_000)
    groups = {e.body["decision_id"]: e.body["group"] for e in entries if e.kind == "decision"}
    decisions = sum(group == "treatment" for group in groups.values())
    outcomes = sum(
        groups[e.body["event"]["decision_id"]] == "treatment"
        for e in entries
        if e.kind == "outcome" and e.body["counted"]
    )
    assert set(groups.values()) == {"treatment", "random", "control"}
    assert taught.pupils["retention"].lessons == decisions + outcomes


def test_learning_goes_on_through_a_new_revision(
    serve: Serve, tmp_path: Path, features: dict[str, Any], workspace: Path, submit: Submit
) -> None:
    text = (workspace / "agents" / "retention.yaml").read_text()
    fewer = text.replace("channels: [email, push]", "channels: [push]")
    with serve() as client:
        drive(client, features, 0, 30)
        assert submit(client, "retention", fewer).json()["changed"]
        drive(client, features, 30, 30)
    taught = learner(tmp_path / "data")
    learn_all(taught)
    pupil = taught.pupils["retention"]
    assert len(pupil.revision.actions) == 21
    untaught = create_policy(pupil.revision)
    assert pupil.policy.to_bytes() != untaught.to_bytes()
    assert pupil.lessons > 20


def test_replicas_take_up_snapshots_and_every_decision_replays(
    serve: Serve, tmp_path: Path, features: dict[str, Any]
) -> None:
    data = tmp_path / "data"
    settings = Settings(tmp_path, data, snapshot_every_s=0.2, poll_s=0.05)
    with serve() as client:
        drive(client, features, 0, 60)
        supervisor = LearnerSupervisor(settings)
        try:
            snapshot = wait_for_snapshot(client)
        finally:
            supervisor.close()
        drive(client, features, 60, 60)
    reader = SqliteReader.open(data / "ledger.sqlite")
    keys = load_keys(data)
    folder = SnapshotFolder(data / "snapshots", keys.snapshot)
    seen = set()
    for entry in reader.entries(0, 1_000):
        if entry.kind != "decision":
            continue
        stored = reader.find_decision(entry.body["decision_id"])
        assert stored is not None
        decision = stored.decision
        source = reader.find_revision(decision.revision)
        assert source is not None
        revision = Revision.from_source(source)
        name = decision.snapshot
        policy = folder.load("retention", name, revision) if name else create_policy(revision)
        again = replay(decision, revision, policy, keys.draw)
        assert again.to_record() == decision.to_record()
        seen.add(name)
    assert "" in seen
    assert max(seen) >= snapshot


def wait_for_snapshot(client: httpx.Client) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        snapshot: str = client.get("/readyz").json()["agents"]["retention"]["snapshot"]
        if snapshot:
            return snapshot
        time.sleep(0.05)
    raise AssertionError("no snapshot was taken up within 30 s")


def test_a_killed_learner_is_started_again(
    serve: Serve, tmp_path: Path, features: dict[str, Any]
) -> None:
    settings = Settings(tmp_path, tmp_path / "data", snapshot_every_s=0.1, poll_s=0.05)
    with serve() as client:
        supervisor = LearnerSupervisor(settings)
        try:
            first = wait_for_pid(supervisor, None)
            assert supervisor._process is not None
            supervisor._process.kill()
            assert wait_for_pid(supervisor, first) != first
            drive(client, features, 0, 20)
            assert wait_for_snapshot(client)
        finally:
            supervisor.close()
    assert supervisor.pid is None


def wait_for_pid(supervisor: LearnerSupervisor, other: int | None) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        pid = supervisor.pid
        if pid is not None and pid != other:
            return pid
        time.sleep(0.02)
    raise AssertionError("the learner was not started within 20 s")
