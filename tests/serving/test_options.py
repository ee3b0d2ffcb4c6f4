"""Options of a decision: only some channels, ranked alternatives, an explanation."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from typer.testing import CliRunner

from agents.checker import check_log
from serving.commands import app
from serving.keeping.export import export_log
from serving.settings import Settings

AT = "2026-03-02T12:00:00Z"
Serve = Callable[..., AbstractContextManager[httpx.Client]]


@pytest.fixture
def ask(features: dict[str, Any]) -> dict[str, Any]:
    return {
        "agent": "retention",
        "customer": "tim",
        "features": features,
        "at": AT,
    }  # of the treatment group


def make(
    client: httpx.Client, body: dict[str, Any], key: str | None = None, **more: Any
) -> dict[str, Any]:
    headers = {} if key is None else {"Idempotency-Key": key}
    response = client.post("/v1/decisions", json=body | more, headers=headers)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def whole(client: httpx.Client, made: dict[str, Any]) -> dict[str, Any]:
    record: dict[str, Any] = client.get(f"/v1/decisions/{made['decision_id']}").json()
    return record


def test_only_the_channels_that_are_asked_for_may_be_used(
    client: httpx.Client, ask: dict[str, Any]
) -> None:
    record = whole(client, make(client, ask, channels=["sms", "email"]))
    assert record["channels"] == ["email", "sms"]  # in the workspace's order
    for action, reason, chance in zip(
        record["actions"], record["mask"], record["distribution"], strict=True
    ):
        channel = action.partition("@")[2].partition("#")[0]
        if channel not in ("", "sms", "email"):
            assert chance == 0.0
            assert reason is not None
    others = "channels: push is not among the channels asked for"
    assert others in record["mask"]
    assert others not in whole(client, make(client, ask, customer="bob"))["mask"]


@pytest.mark.parametrize(
    ("channels", "says"),
    [
        (["smss"], "channels: got 'smss'; did you mean 'sms'?"),
        ([], "channels: "),
        (["no name"], "channels.0: "),
    ],
)
def test_channels_that_are_not_there_are_refused(
    steady: httpx.Client, ask: dict[str, Any], channels: list[str], says: str
) -> None:
    response = steady.post("/v1/decisions", json=ask | {"channels": channels})
    assert response.status_code == 422
    assert says in response.json()["detail"]


def test_channels_are_part_of_what_a_key_stands_for(
    client: httpx.Client, ask: dict[str, Any]
) -> None:
    first = make(client, ask, "k", channels=["email"])
    assert make(client, ask, "k", channels=["email"])["decision_id"] == first["decision_id"]
    other = client.post(
        "/v1/decisions", json=ask | {"channels": ["sms"]}, headers={"Idempotency-Key": "k"}
    )
    assert other.status_code == 422


def test_the_independent_checker_knows_the_channels(
    serve: Serve, ask: dict[str, Any], workspace: Path, tmp_path: Path
) -> None:
    with serve() as client:
        for number in range(20):
            make(client, ask, customer=f"c{number}", channels=["email"])
            make(client, ask, customer=f"d{number}")
    settings, now = Settings(workspace, tmp_path / "data"), AT
    table = _export(settings, tmp_path / "log", now)
    assert list(check_log(table, workspace)) == []
    forged = [_without_channels(text) for text in table["context"].to_pylist()]
    column = table.schema.get_field_index("context")
    breaches = check_log(table.set_column(column, "context", [forged]), workspace)
    assert {breach.guardrail for breach in breaches} == {"channels"}


def _export(settings: Settings, folder: Path, now: str) -> Any:
    from datetime import datetime

    import pyarrow.parquet as pq

    export_log(settings, folder, now=datetime.fromisoformat(now))
    return pq.read_table(folder / "decisions.parquet")


def _without_channels(text: str) -> str:
    return orjson.dumps(orjson.loads(text) | {"channels": []}).decode()


def test_alternatives_are_ranked_and_the_draw_stands(
    client: httpx.Client, ask: dict[str, Any]
) -> None:
    made = make(client, ask, "k", top=50)
    record, ranked = whole(client, made), made["alternatives"]
    allowed = [a for a, why in zip(record["actions"], record["mask"], strict=True) if why is None]
    assert {entry["id"] for entry in ranked} == set(allowed)
    chances = [entry["propensity"] for entry in ranked]
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) == pytest.approx(1.0, abs=1e-12)
    drawn = next(entry for entry in ranked if entry["id"] == made["action"]["id"])
    assert drawn["propensity"] == made["propensity"]
    assert {name: drawn[name] for name in made["action"]} == made["action"]
    assert all((entry["content"] is None) == (entry["id"] == "none") for entry in ranked)
    assert all(isinstance(entry["expected"], float) for entry in ranked)
    again = make(client, ask, "k", top=2)
    assert again["alternatives"] == ranked[:2]
    assert again["decision_id"] == made["decision_id"]
    assert make(client, ask, "k")["alternatives"] is None


@pytest.mark.parametrize("top", [0, 51, "3", 1.5])
def test_a_number_of_alternatives_out_of_range_is_refused(
    steady: httpx.Client, ask: dict[str, Any], top: Any
) -> None:
    assert steady.post("/v1/decisions", json=ask | {"top": top}).status_code == 422


def test_a_decision_is_explained_now_and_again(client: httpx.Client, ask: dict[str, Any]) -> None:
    made = make(client, ask, "k", explain=True)
    insight = made["insight"]
    assert insight["action"] == made["action"]["id"]
    assert insight["explored"] == made["explored"]
    assert insight["incumbent"] is None
    chances = {option["action"]: option["probability"] for option in insight["options"]}
    assert chances[insight["action"]] == made["propensity"]
    again = make(client, ask, "k", explain=True)
    assert again["insight"] == insight
    assert make(client, ask, "k")["insight"] is None


def test_a_server_explains_at_a_terminal(client: httpx.Client, features: dict[str, Any]) -> None:
    words = [
        "decide", "ann", "--features", orjson.dumps(features).decode(), "--at", AT,
        "--url", str(client.base_url), "--explain", "--channels", "email, sms",
    ]  # fmt: skip
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "would change" in result.output
    assert "channels: push is not among the channels asked for" in result.output


def test_what_nobody_expected_anything_of_is_null(
    client: httpx.Client, ask: dict[str, Any]
) -> None:
    made = make(client, ask, customer="ann", top=3, explain=True)  # of the random group
    assert made["group"] == "random"
    assert [entry["expected"] for entry in made["alternatives"]] == [None] * 3
    assert made["insight"]["options"][0]["expected"] is not None  # by the learner all the same
    held = make(client, ask, customer="bob", top=3, explain=True)
    assert [entry["id"] for entry in held["alternatives"]] == ["none"]
    assert held["insight"]["changes"] == []
