"""A learner that begins with what an exported log teaches."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from agents.errors import LogError, StateError, UnknownNameError
from agents.load import load_workspace
from agents.log import read_row
from policies.registry import create_policy, load_policy
from policies.teaching.warm import learn_history
from serving.ask import Question, ask_here
from serving.commands import app
from serving.keeping.export import export_log
from serving.learning.history import read_history, warm_start_agent
from serving.learning.learner import Learner
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import SqliteReader
from serving.settings import Settings, load_keys

Serve = Callable[..., AbstractContextManager[httpx.Client]]
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def drive(client: httpx.Client, features: dict[str, Any], count: int) -> None:
    """Decide, and then tell what happened a day later: a log in the order of time."""
    events = []
    for number in range(count):
        body = {
            "agent": "retention", "customer": f"c{number}", "at": "2026-03-02T09:00:00+00:00",
            "features": features | {"tenure_months": number % 60},
        }  # fmt: skip
        answer = client.post("/v1/decisions", json=body).json()
        event = {
            "outcome_id": f"o{number}", "decision_id": answer["decision_id"],
            "outcome": "renewed", "at": "2026-03-03T09:00:00+00:00",
        }  # fmt: skip
        events += [event] if number % 3 == 0 else []
    for event in events:
        assert client.post("/v1/outcomes", json=event).is_success


@pytest.fixture
def log(serve: Serve, features: dict[str, Any], tmp_path: Path) -> Path:
    with serve() as client:
        drive(client, features, 45)
    assert export_log(Settings(tmp_path, tmp_path / "data"), tmp_path / "log", now=NOW) == 45
    return tmp_path / "log"


def learned(data: Path) -> Learner:
    folder = SnapshotFolder(data / "snapshots", load_keys(data).snapshot)
    learner = Learner(SqliteReader.open(data / "ledger.sqlite"), folder, every_s=0.0)
    learner.resume()
    while learner.step():
        pass
    return learner


def test_rows_are_the_decisions_they_were(log: Path, tmp_path: Path) -> None:
    rows = pq.read_table(log / "decisions.parquet").to_pylist()
    with closing(SqliteReader.open(tmp_path / "data" / "ledger.sqlite")) as ledger:
        for row in rows:
            stored = ledger.find_decision(row["decision_id"])
            assert stored is not None
            record = read_row(row).to_record()
            assert record == stored.decision.to_record() | {"customer": row["customer"]}


def test_a_history_teaches_what_the_learner_has_learned(
    log: Path, tmp_path: Path, workspace: Path
) -> None:
    live = learned(tmp_path / "data").pupils["retention"]
    revision = load_workspace(workspace).revisions["retention"]
    policy = create_policy(revision)
    warmed = learn_history(policy, revision, read_history(log, revision))
    assert warmed.lessons == live.lessons
    assert policy.to_bytes() == live.policy.to_bytes()


def test_the_server_begins_with_it(
    log: Path, workspace: Path, tmp_path: Path, serve_settings: Any, features: dict[str, Any]
) -> None:
    new = tmp_path / "new"
    manifest = warm_start_agent(workspace, log, "retention", new)
    with serve_settings(Settings(workspace, new, clock="driven", poll_s=0.05)) as client:
        ready = client.get("/readyz").json()["agents"]["retention"]["snapshot"]
        assert ready == SnapshotFolder(new / "snapshots", load_keys(new).snapshot).names(
            "retention"
        )[0]  # fmt: skip
        drive(client, features, 10)
    first = learned(new)
    first.publish(force=True)
    pupil = first.pupils["retention"]
    assert pupil.lessons > manifest.lessons
    again = learned(new)  # from the newest snapshot
    assert again.pupils["retention"].policy.to_bytes() == pupil.policy.to_bytes()
    latest = first.snapshots.latest("retention")
    (new / "snapshots" / "retention" / f"{latest}.snapshot").unlink()
    rebuilt = learned(new)  # from the warm start and the log
    assert rebuilt.pupils["retention"].policy.to_bytes() == pupil.policy.to_bytes()
    assert rebuilt.pupils["retention"].lessons == pupil.lessons


def test_the_command_says_what_was_learned(log: Path, workspace: Path, tmp_path: Path) -> None:
    data = tmp_path / "new"
    arguments = ["warm-start", str(workspace), str(log), "--agent", "retention"]
    result = CliRunner().invoke(app, [*arguments, "--data", str(data)])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("retention: hybrid_thompson has learned ")
    folder = SnapshotFolder(data / "snapshots", load_keys(data).snapshot)
    (name,) = folder.names("retention")
    manifest, state = folder.read("retention", name)
    assert (manifest.position, name[:12]) == (0, "0" * 12)
    revision = load_workspace(workspace).revisions["retention"]
    assert load_policy(manifest.policy, state, revision).to_bytes() == state
    question = Question(("retention",), "eva", {}, NOW)  # of the treatment group
    assert ask_here(workspace, question, data=data)["snapshot"] == name  # before it is served
    with pytest.raises(StateError, match="^retention has learned already: 000000000000-"):
        warm_start_agent(workspace, log, "retention", data)


def test_what_cannot_be_begun_from_is_refused(log: Path, workspace: Path, tmp_path: Path) -> None:
    data = tmp_path / "new"
    with pytest.raises(UnknownNameError, match="no agent 'retenton'; did you mean 'retention'"):
        warm_start_agent(workspace, log, "retenton", data)
    with pytest.raises(LogError, match="expected a log as nextbest export writes it"):
        warm_start_agent(workspace, tmp_path, "retention", data)
    path = log / "decisions.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["mask"]), path)
    with pytest.raises(LogError, match="expected a column 'mask', got none"):
        warm_start_agent(workspace, log, "retention", data)
    broken = table.to_pylist()
    broken[7]["action"] = "nonsense"
    pq.write_table(table.from_pylist(broken, schema=table.schema), path)
    with pytest.raises(LogError, match="row 7: expected a decision: ValueError"):
        warm_start_agent(workspace, log, "retention", data)
    pq.write_table(table.slice(0, 0), path)
    with pytest.raises(LogError, match="expected decisions of retention to learn from in"):
        warm_start_agent(workspace, log, "retention", data)


def test_a_learner_that_never_learns_is_not_taught(
    log: Path, workspace: Path, tmp_path: Path
) -> None:
    path = workspace / "agents" / "retention.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("learner: hybrid_thompson", "learner: fixed"), encoding="utf-8")
    with pytest.raises(StateError, match="retention: fixed learns nothing from a log"):
        warm_start_agent(workspace, log, "retention", tmp_path / "new")
    assert not (tmp_path / "new").exists()
