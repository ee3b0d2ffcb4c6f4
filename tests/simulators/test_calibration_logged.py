from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agents.errors import LogError
from agents.groups import Group
from agents.revision import Revision
from policies.uniform import Uniform
from simulators.calibration.logged import Logged, read_logged
from simulators.results import Rollout
from simulators.rollout import rollout
from simulators.world import START
from simulators.worlds import create_world

WORDS = ("renewed", "upgraded", "complained", "unsubscribed", "paid")


@pytest.fixture(scope="module")
def run(revision: Revision) -> Rollout:
    world = create_world(
        "telecom", revision, customers=150, rounds=5, every=timedelta(days=3), seed=5
    )
    return rollout(world, Uniform())


@pytest.fixture(scope="module")
def folder(run: Rollout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log")
    run.write(path, b"key")
    return path


@pytest.fixture(scope="module")
def logged(folder: Path) -> Logged:
    return read_logged(folder, WORDS)


def test_only_decisions_of_chance_and_of_nothing_are_taken(logged: Logged, run: Rollout) -> None:
    usual = run.in_group(Group.RANDOM) | run.in_group(Group.CONTROL)
    assert 0 < usual.sum() < usual.size
    assert logged.decisions.customer.size == usual.sum()
    assert logged.decisions.contacted.sum() == (run.actions[usual] != 0).sum()
    assert logged.customers == np.unique(run.customers[usual]).size
    held = np.unique(run.customers[run.in_group(Group.CONTROL)]).size
    assert logged.timetable.control == held / logged.customers


def test_the_timetable_is_that_of_the_world(logged: Logged) -> None:
    table = logged.timetable
    assert (table.start, table.every, table.rounds) == (START, timedelta(days=3), 5)


def test_outcomes_are_those_that_counted(logged: Logged, run: Rollout) -> None:
    usual = run.in_group(Group.RANDOM) | run.in_group(Group.CONTROL)
    ids = {d.decision_id for d, taken in zip(run.decisions, usual, strict=True) if taken}
    for place, word in enumerate(WORDS[:-1]):
        happened = {e.decision_id for e in run.events if e.outcome == word}
        assert logged.decisions.rates[:, place].sum() == len(happened & ids)
        assert len(logged.waits[word].taken) == len(happened)
    assert np.isnan(logged.decisions.rates[:, -1]).all()  # no outcome of this agent
    assert "paid" not in logged.waits


def test_waiting_begins_when_the_message_is_sent(logged: Logged, run: Rollout) -> None:
    made = {d.decision_id: d for d in run.decisions}
    taken = sorted(
        (e.at - (made[e.decision_id].send_at or made[e.decision_id].at)) / timedelta(days=1)
        for e in run.events
        if e.outcome == "upgraded"
    )
    found = logged.waits["upgraded"]
    assert np.sort(found.taken) == pytest.approx(taken)
    assert (found.taken < found.most).all()
    assert (found.most <= 7.0).all()


def test_open_windows_and_contacts_given_back_are_left_out(
    folder: Path, logged: Logged, tmp_path: Path, revision: Revision
) -> None:
    table = pq.read_table(folder / "decisions.parquet")
    count = table.num_rows
    nobody = pa.array([None] * count, table.schema.field("closed_at").type)
    early = np.arange(count) < count // 2
    some = pa.chunked_array([pa.array([7 if one else None for one in early], pa.int64())])
    place = table.schema.get_field_index("given_back")
    pq.write_table(table.set_column(place, "given_back", some), tmp_path / "part.parquet")
    found = read_logged(tmp_path / "part.parquet", WORDS, revision)
    assert 0 < found.decisions.customer.size < logged.decisions.customer.size
    place = table.schema.get_field_index("closed_at")
    pq.write_table(table.set_column(place, "closed_at", nobody), tmp_path / "open.parquet")
    with pytest.raises(LogError, match="expected decisions of the group 'random' by revision"):
        read_logged(tmp_path / "open.parquet", WORDS, revision)


def test_a_log_without_its_revision_needs_a_workspace(folder: Path, tmp_path: Path) -> None:
    alone = tmp_path / "decisions.parquet"
    alone.write_bytes((folder / "decisions.parquet").read_bytes())
    with pytest.raises(LogError, match="name its workspace with --workspace instead$"):
        read_logged(alone, WORDS)


def test_another_revision_has_no_decisions(
    folder: Path, edited: Callable[[str, str], Revision]
) -> None:
    other = edited("floor: 0.05", "floor: 0.1")
    with pytest.raises(LogError, match=f"by revision {other.id} whose"):
        read_logged(folder, WORDS, other)


def test_what_is_no_log_is_told(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="expected a decision log with the columns at, revision"):
        read_logged(tmp_path, WORDS)
    (tmp_path / "x.parquet").write_bytes(b"PAR0")
    with pytest.raises(LogError, match="expected a decision log as Parquet"):
        read_logged(tmp_path, WORDS)
    pq.write_table(pa.table({"at": [1]}), tmp_path / "x.parquet")
    with pytest.raises(LogError, match="expected a decision log"):
        read_logged(tmp_path, WORDS)
