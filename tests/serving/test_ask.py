"""`nextbest decide`: here by the files, or of a server; one agent or several; a slot to fill."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

import httpx
import numpy as np
import orjson
import pytest
from typer.testing import CliRunner

from agents.errors import ContextError, StateError, UnknownNameError
from agents.load import load_workspace
from agents.memory import Memory
from policies.registry import create_policy
from policies.samples import sample_lessons
from policies.snapshot import Manifest
from serving.ask import Question, ask_here
from serving.commands import app
from serving.keeping.export import export_log
from serving.learning.snapshots import SnapshotFolder
from serving.settings import Settings, load_keys

AT = "2026-03-02T09:00:00Z"
FEATURES = {"name": "Ann", "likes": ["music"], "spend": 3.0}
Serve = Callable[..., AbstractContextManager[httpx.Client]]


def run(*more: str) -> str:
    words = ["decide", "ann", "--features", orjson.dumps(FEATURES).decode(), "--at", AT, *more]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_several_agents_are_settled_here(shop: Path) -> None:
    text = run("--workspace", str(shop), "--agents", "sales,care")
    bids = {line.split()[-1]: line.split()[:-1] for line in text.splitlines() if line.strip()}
    assert bids["care"] == ["1.0000", "2.000", *bids["care"][2:4], "2.000"]
    assert bids["sales"][:2] == ["0.0000", "1.000"]
    assert "advice/plain@email" in text  # what care may do
    assert "cable" not in text
    assert "lever" not in run("--workspace", str(shop), "--agent", "care")


def test_a_slot_is_filled_here(shop: Path) -> None:
    text = run("--workspace", str(shop), "--agent", "sales", "--placement", "banner")
    assert "ann: cable/" in text
    assert "@web" in text
    assert "placement: " in text  # bars what is sent by email
    assert "@web" in run(
        "--workspace", str(shop), "--agents", "care, sales", "--placement", "banner"
    )


def test_a_server_is_asked_the_same(open_shop: Serve, tmp_path: Path) -> None:
    with open_shop() as client:
        url = ["--url", str(client.base_url)]
        text = run(*url, "--agents", "sales,care")
        assert "advice/plain@email" in text
        assert "1.0000   2.000" in text
        assert "ann: cable/" in run(*url, "--agent", "sales", "--placement", "banner")
    now = datetime.fromisoformat(AT)
    assert export_log(Settings(tmp_path, tmp_path / "data"), tmp_path / "log", now=now) == 2


@pytest.mark.parametrize(
    "names", [("--agents", "sales,sales"), ("--agents", "sales,care", "--agent", "sales")]
)
def test_a_question_to_several_names_each_once(shop: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(ContextError, match="expected --agent NAME, or --agents"):
        run("--workspace", str(shop), *names)


def test_an_agent_that_is_not_there_is_told(shop: Path) -> None:
    question = Question(("sales", "cares"), "ann", FEATURES)
    with pytest.raises(UnknownNameError, match="did you mean 'care'"):
        ask_here(shop, question)


def test_nobody_bids_if_nobody_can_act(shop: Path) -> None:
    question = Question(("care", "sales"), "ann", {}, datetime.fromisoformat(AT), "footer")
    record = ask_here(shop, question)
    assert (record["agent"], record["arbitration"]) == ("care", None)
    assert record["action_id"] == "none"


def test_a_decision_is_explained_here(shop: Path) -> None:
    text = run("--workspace", str(shop), "--agent", "care", "--explain")
    assert "5% to 95%" in text
    assert "expected to earn" in text
    assert "would change" in text
    assert "would change" not in run("--workspace", str(shop), "--agent", "care")
    question = Question(("sales", "care"), "ann", FEATURES, datetime.fromisoformat(AT))
    record = ask_here(shop, question, why=True)
    assert record["insight"]["action"] == record["action_id"]
    assert orjson.loads(orjson.dumps(record["insight"])) == record["insight"]
    assert ask_here(shop, question)["insight"] is None


def test_what_a_server_learned_decides_here(
    open_shop: Serve, own_shop: Path, tmp_path: Path
) -> None:
    with open_shop():
        pass  # a ledger and keys
    data, revision = tmp_path / "data", load_workspace(own_shop).revisions["care"]
    policy = create_policy(revision)
    policy.update(sample_lessons(revision, 50, np.random.default_rng(1)))
    state = policy.to_bytes()
    manifest = Manifest.of(
        state, policy=policy.name, agent="care", revision=revision.id, position=7, lessons=50
    )
    folder = SnapshotFolder(data / "snapshots", load_keys(data).snapshot)
    name = folder.publish(manifest, state)
    question = Question(("care",), "ann", FEATURES, datetime.fromisoformat(AT))
    record = ask_here(own_shop, question, data=data)
    assert record["snapshot"] == name
    context = Memory().recall(revision, "ann", datetime.fromisoformat(AT), FEATURES)
    expected = policy.distribution(context, revision.mask(context)).expected
    assert record["expected"] == pytest.approx(expected.tolist(), nan_ok=True)


def test_a_folder_without_snapshots_stays_as_it_is(shop: Path, tmp_path: Path) -> None:
    question = Question(("care",), "ann", FEATURES, datetime.fromisoformat(AT))
    with pytest.raises(StateError, match="got none; leave out --data to decide untaught"):
        ask_here(shop, question, data=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_is_not_asked_for_what_is_made_here(shop: Path) -> None:
    with pytest.raises(ContextError, match="expected --data without --url"):
        run("--url", "http://127.0.0.1:9", "--data", "here")
