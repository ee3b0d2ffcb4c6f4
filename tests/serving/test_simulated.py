"""A simulated market driven over HTTP against a whole server, and the same market without one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from agents.load import load_workspace
from agents.revision import Revision
from policies.registry import create_policy
from simulators.commands import app
from simulators.drive import DriveResult, drive
from simulators.results import Rollout
from simulators.rollout import rollout
from simulators.traffic import Traffic
from simulators.world import World
from simulators.worlds import create_world
from simulators.worlds.from_file import world_of
from simulators.worlds.telecom import Telecom

Serve = Callable[..., AbstractContextManager[httpx.Client]]


@dataclass(frozen=True)
class Stand:
    """A server on the telecom example, which nothing teaches, and what it draws by."""

    url: str
    secret: bytes
    revision: Revision

    def world(self, name: str) -> World:
        return create_world(name, self.revision, customers=120, rounds=4, seed=7)

    def alone(self, world: World) -> Rollout:
        policy = create_policy(self.revision)
        return rollout(world, policy, secret=self.secret, learn=False)


@pytest.fixture
def stand(serve: Serve, workspace: Path, tmp_path: Path) -> Any:
    with serve() as client:
        secret = (tmp_path / "data" / "keys" / "draw.key").read_bytes()
        revision = load_workspace(workspace).revisions["retention"]
        yield Stand(str(client.base_url), secret, revision)


def assert_same(driven: DriveResult, alone: Rollout) -> None:
    made = {decision.decision_id: decision for decision in alone.decisions}
    assert made.keys() == set(driven.decision_ids)
    for there in driven.decisions:
        here = made[there.decision_id]
        assert there.answer["propensity"] == here.propensity
        assert there.action == here.action
        assert there.group == here.group
        assert there.answer["reason"] == here.reason
    assert {e.outcome_id for e in driven.outcomes} == {e.outcome_id for e in alone.events}


@pytest.mark.parametrize("name", ["telecom", "retention"])
def test_over_http_every_decision_is_the_one_made_without_a_server(stand: Stand, name: str) -> None:
    world = stand.world(name)
    driven = drive(world, stand.url)
    assert len({d.answer["propensity"] for d in driven.decisions}) > 20
    assert len(driven.outcomes) > 20
    assert_same(driven, stand.alone(world))


@pytest.mark.parametrize("batch", [0, 50], ids=["one by one", "in batches"])
def test_bursts_repeats_and_batches_change_no_decision(stand: Stand, batch: int) -> None:
    world = stand.world("telecom")
    traffic = Traffic(concurrency=4, burst=0.5, twice=0.2, batch=batch)
    driven = drive(world, stand.url, traffic=traffic)
    assert driven.repeated == pytest.approx(0.2 * 480, abs=4 * np.sqrt(480 * 0.2 * 0.8))
    assert_same(driven, stand.alone(world))
    with httpx.Client(base_url=stand.url) as client:
        one = client.get(f"/v1/decisions/{driven.decision_ids[0]}")
        assert one.status_code == httpx.codes.OK


def test_a_drive_that_is_repeated_is_answered_again(stand: Stand) -> None:
    world = stand.world("telecom")
    first, second = drive(world, stand.url), drive(world, stand.url)
    assert first.decision_ids == second.decision_ids
    assert np.array_equal(first.actions, second.actions)
    assert [e.outcome_id for e in first.outcomes] == [e.outcome_id for e in second.outcomes]


def test_what_is_told_late_and_twice_is_the_same_with_and_without_a_server(stand: Stand) -> None:
    noise = Telecom.spec.noise.model_copy(update={"duplicates": 0.5, "late": 0.5})
    noisy = world_of(Telecom.spec.model_copy(update={"noise": noise}), Telecom)
    day = timedelta(days=1)
    world = noisy(stand.revision, customers=100, rounds=10, seed=7, every=day)
    driven = drive(world, stand.url, traffic=Traffic(batch=20))
    assert len(driven.outcomes) > 1.3 * len({e.outcome_id for e in driven.outcomes})
    assert_same(driven, stand.alone(world))


def test_the_command_drives_and_says_how_it_went(
    stand: Stand, workspace: Path, tmp_path: Path
) -> None:
    truth = tmp_path / "truth.parquet"
    arguments = ["drive", "--url", stand.url, "--workspace", str(workspace), "--world", "telecom",
                 "--customers", "30", "--rounds", "2", "--truth", str(truth)]  # fmt: skip
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "agent retention, world telecom" in " ".join(result.output.split())
    assert "decisions per second; p50" in result.output
    assert "wrote what the world knows of 60 decisions" in result.output
    assert pq.read_table(truth).num_rows == 60
