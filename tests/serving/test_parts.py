"""Keys, clocks, snapshots on disk, Ray's environment, the start-up checks and the export."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from agents.errors import ContextError, DocumentError, LogError, SnapshotError, StateError
from agents.log import SCHEMA
from policies.snapshot import Manifest
from serving.ask import Question, ask_there
from serving.clock import DrivenClock, MachineClock
from serving.keeping.export import export_log
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import SqliteLedger
from serving.running.server import check_start
from serving.security.client import read_answer
from serving.settings import Settings, load_keys, prepare_data

Serve = Callable[..., AbstractContextManager[httpx.Client]]
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def manifest(state: bytes, position: int) -> Manifest:
    return Manifest.of(
        state, policy="uniform", agent="retention", revision="r", position=position, lessons=1
    )


def test_keys_are_made_once_and_private(tmp_path: Path) -> None:
    keys = load_keys(tmp_path)
    assert load_keys(tmp_path) == keys
    assert len({keys.draw, keys.snapshot, keys.customer}) == 3
    for file in (tmp_path / "keys").iterdir():
        assert file.stat().st_mode & 0o077 == 0
    (tmp_path / "keys" / "draw.key").write_bytes(b"short")
    with pytest.raises(StateError, match="expected 32 bytes in .* got 5"):
        load_keys(tmp_path)


def test_the_data_folder_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be made"):
        prepare_data(tmp_path / "file" / "data")


def test_the_machine_clock_never_runs_backwards() -> None:
    clock = MachineClock()
    times = [clock.now(None) for _ in range(1_000)]
    assert times == sorted(times)
    with pytest.raises(ContextError, match="expected no 'at'"):
        clock.now(AT)


def test_the_driven_clock_tells_what_it_is_told() -> None:
    assert DrivenClock().now(AT) == AT
    with pytest.raises(ContextError, match="expected 'at'"):
        DrivenClock().now(None)


def test_snapshots_are_read_newest_first_and_checked(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path, b"k" * 32)
    assert folder.latest("retention") is None
    first = folder.publish(manifest(b"one", 9), b"one")
    second = folder.publish(manifest(b"two", 10), b"two")
    assert folder.latest("retention") == second > first
    assert folder.read("retention", first)[1] == b"one"
    path = tmp_path / "retention" / f"{second}.snapshot"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(SnapshotError):
        folder.read("retention", second)
    with pytest.raises(SnapshotError, match="cannot be read"):
        folder.read("retention", "none")
    assert not list(tmp_path.rglob("*.partial"))


def test_a_taken_port_is_found_before_ray_starts(workspace: Path, tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(StateError, match=f"cannot listen on 127.0.0.1:{port}"):
            check_start(Settings(workspace, tmp_path / "data", port=port))


def test_a_wrong_workspace_is_found_before_ray_starts(workspace: Path, tmp_path: Path) -> None:
    agent = workspace / "agents" / "retention.yaml"
    text = agent.read_text()
    agent.write_text(text.replace("hybrid_thompson", "hybrid_tompson"))
    line = text[: text.index("learner: hybrid")].count("\n") + 1
    with pytest.raises(
        DocumentError, match=rf"retention\.yaml:{line}:.*did you mean 'hybrid_thompson'"
    ):
        check_start(Settings(workspace, tmp_path / "data", port=8432))
    agent.write_text(text.replace("window: 14d", "window: -14d"))
    line = text[: text.index("window: 14d")].count("\n") + 1
    with pytest.raises(DocumentError, match=rf"retention\.yaml:{line}:\d+"):
        check_start(Settings(workspace, tmp_path / "data", port=8432))
    assert not (tmp_path / "data").exists()


def test_the_log_is_exported_while_the_server_runs(
    serve: Serve, tmp_path: Path, features: dict[str, Any]
) -> None:
    settings = Settings(tmp_path, tmp_path / "data")
    with serve() as client:
        for number in range(30):
            body = {
                "agent": "retention", "customer": f"name-{number}", "features": features,
                "at": AT.isoformat(),
            }  # fmt: skip
            answer = client.post("/v1/decisions", json=body).json()
            event = {
                "outcome_id": f"o{number}", "decision_id": answer["decision_id"],
                "outcome": "renewed", "at": AT.replace(hour=10).isoformat(),
            }  # fmt: skip
            assert client.post("/v1/outcomes", json=event).json()["counted"]
        soon = AT.replace(day=3)
        assert export_log(settings, tmp_path / "early", now=soon) == 30
        late = AT.replace(month=4)
        assert export_log(settings, tmp_path / "log", now=late) == 30
    early = pq.read_table(tmp_path / "early" / "decisions.parquet")
    assert early["closed_at"].null_count == 30
    table = pq.read_table(tmp_path / "log" / "decisions.parquet")
    assert table.schema.equals(SCHEMA)
    assert table["closed_at"].null_count == 0
    assert all(70 < value <= 80 for value in table["reward"].to_pylist())
    assert b"name-1" not in (tmp_path / "log" / "decisions.parquet").read_bytes()
    (revision,) = set(table["revision"].to_pylist())
    assert (tmp_path / "log" / "revisions" / f"{revision}.json").exists()
    names = sorted(path.name for path in (tmp_path / "log").iterdir())
    assert names == ["decisions.parquet", "events", "revisions"]


def test_the_export_is_the_ledger_at_one_moment(
    serve: Serve, tmp_path: Path, features: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.keeping.export._ROWS", 4)
    settings = Settings(tmp_path, tmp_path / "data")
    with serve() as client:

        def decide(number: int) -> str:
            body = {
                "agent": "retention", "customer": f"c{number}", "features": features,
                "at": AT.isoformat(),
            }  # fmt: skip
            made: str = client.post("/v1/decisions", json=body).json()["decision_id"]
            return made

        made = [decide(number) for number in range(12)]

        def meanwhile(done: int) -> None:
            if done < 12:
                event = {
                    "outcome_id": f"o{done}", "decision_id": made[-1], "outcome": "renewed",
                    "at": AT.isoformat(),
                }  # fmt: skip
                assert client.post("/v1/outcomes", json=event).is_success
                decide(100 + done)

        assert export_log(settings, tmp_path / "log", now=AT, progress=meanwhile) == 12
        table = pq.read_table(tmp_path / "log" / "decisions.parquet")
        assert table["decision_id"].to_pylist() == made
        assert table["outcomes"].to_pylist() == [[]] * 12
        assert export_log(settings, tmp_path / "log", now=AT) > 12


def test_an_export_that_fails_leaves_the_log_that_was(
    serve: Serve, tmp_path: Path, features: dict[str, Any]
) -> None:
    settings = Settings(tmp_path, tmp_path / "data")
    body = {"agent": "retention", "customer": "ann", "features": features, "at": AT.isoformat()}
    with serve() as client:
        client.post("/v1/decisions", json=body)
        export_log(settings, tmp_path / "log", now=AT)
    before = (tmp_path / "log" / "decisions.parquet").read_bytes()
    with closing(SqliteLedger.open(settings.ledger)) as ledger:
        ledger._db.rows("UPDATE log SET record = ? WHERE kind = 'decision'", (b"{}",))
    with pytest.raises(LogError, match="entry 2 of the ledger is no decision"):
        export_log(settings, tmp_path / "log", now=AT)
    names = sorted(path.name for path in (tmp_path / "log").iterdir())
    assert names == ["decisions.parquet", "events", "revisions"]
    assert (tmp_path / "log" / "decisions.parquet").read_bytes() == before


@pytest.mark.parametrize("text", ["<html>502</html>", "[]", "{}"])
def test_an_answer_of_somebody_else_is_told_apart(text: str) -> None:
    with pytest.raises(StateError, match="expected an answer of nextbest .* status 502"):
        read_answer(httpx.Response(502, text=text), "http://localhost:8000")


@pytest.mark.parametrize("text", ["[]", "{}", '"a text"'])
def test_a_decision_of_somebody_else_is_told_apart(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = httpx.Response(200, text=text)
    monkeypatch.setattr(httpx.Client, "request", lambda *_args, **_more: answer)
    with pytest.raises(StateError, match="expected a decision from http://localhost:8000"):
        ask_there("http://localhost:8000", Question(("care",), "ann", {}))
