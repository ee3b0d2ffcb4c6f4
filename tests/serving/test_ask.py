"""`nextbest decide`: here by the files, or of a server; one agent or several; a slot to fill."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

import httpx
import orjson
import pytest
from typer.testing import CliRunner

from agents.errors import ContextError, UnknownNameError
from serving.ask import Question, ask_here
from serving.commands import app
from serving.export import export_log
from serving.settings import Settings

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
