from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import agents
from agents.checker import check_log
from agents.log import SCHEMA
from agents.revision import Revision
from policies.registry import create_policy
from simulators.results import Rollout, write_parquet
from simulators.rollout import rollout
from simulators.worlds import create_world

EXAMPLE = Path(agents.__file__).parent / "examples" / "telecom"


@pytest.fixture(scope="module")
def run(revision: Revision) -> Rollout:
    world = create_world("retention", revision, customers=250, rounds=4, seed=5)
    return rollout(world, create_policy(revision))


def test_the_log_has_the_schema_and_every_window_is_closed(run: Rollout) -> None:
    table = run.log(b"key")
    assert table.schema.equals(SCHEMA)
    assert table.num_rows == 1_000
    assert table["closed_at"].null_count == 0
    assert table["position"].to_pylist() == list(range(1_000))


def test_the_log_and_the_rollout_agree_on_rewards(run: Rollout) -> None:
    rewards = run.rewards()
    assert np.array_equal(run.log(b"key")["reward"].to_numpy(), rewards)
    counts = dict.fromkeys(run.revision.agent.outcomes, 0)
    for event in run.events:
        counts[event.outcome] += 1
    values = sum(counts[n] * outcome.worth for n, outcome in run.revision.agent.outcomes.items())
    costs = sum(run.revision.actions[a].cost for a in run.actions)
    assert rewards.sum() == pytest.approx(values - costs)


def test_the_independent_checker_finds_nothing(run: Rollout) -> None:
    assert check_log(run.log(b"key"), EXAMPLE) == []


def test_written_as_a_server_exports_it(run: Rollout, tmp_path: Path) -> None:
    run.write(tmp_path / "log", b"key")
    assert pq.read_table(tmp_path / "log" / "decisions.parquet").equals(run.log(b"key"))
    (source,) = (tmp_path / "log" / "revisions").iterdir()
    assert source.stem == Revision.from_source(source.read_bytes()).id == run.revision.id


def test_a_table_is_written_whole_and_replaces_the_last(tmp_path: Path) -> None:
    path = tmp_path / "numbers.parquet"
    for numbers in ([1, 2], [3]):
        write_parquet(pa.table({"n": numbers}), path)
        assert pq.read_table(path)["n"].to_pylist() == numbers
    assert list(tmp_path.iterdir()) == [path]
