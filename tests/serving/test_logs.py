"""Logs tell of requests and decisions, and never of customers."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from serving.settings import Settings
from serving.watching.logs import FACTS, JsonLines, TextLines, logging_to
from serving.watching.metrics import Meters
from serving.watching.watch import Watch

Serve = Callable[..., AbstractContextManager[httpx.Client]]
AT = "2026-03-02T09:00:00+00:00"
CANARY = "canary-9d1c"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_request_is_one_line_of_json(
    serve_settings: Serve, workspace: Path, tmp_path: Path, features: dict[str, Any]
) -> None:
    settings = Settings(workspace, tmp_path / "data", clock="driven", log="json")
    body = {"agent": "retention", "customer": CANARY, "features": features, "at": AT}
    with serve_settings(settings) as client:
        made = client.post("/v1/decisions", json=body, headers={"X-Request-Id": "ask-1"})
        client.get(f"/v1/customers/{CANARY}", headers={"X-API-Key": CANARY})
        client.get(f"/v1/decisions/{CANARY}?explain={CANARY}")
        client.post("/v1/decisions", json=body | {"features": {"plan": CANARY}})
        client.post(f"/{CANARY}", content=CANARY)
        client.delete(f"/v1/customers/{CANARY}")
    assert made.headers["x-request-id"] == "ask-1"
    told = [line for line in lines(settings.data / "server.log") if line["event"] == "request"]
    assert [(line["method"], line["route"], line["status"]) for line in told] == [
        ("POST", "/v1/decisions", 200),
        ("GET", "/v1/customers/{customer}", 200),
        ("GET", "/v1/decisions/{decision_id}", 422),
        ("POST", "/v1/decisions", 422),
        ("POST", "other", 404),
        ("DELETE", "/v1/customers/{customer}", 200),
    ]
    assert told[0]["request_id"] == "ask-1"
    assert told[0]["decision_id"] == made.json()["decision_id"]
    assert told[0]["ms"] > 0.0
    assert len({line["request_id"] for line in told}) == len(told)
    written = (settings.data / "server.log").read_text()
    assert "canary" not in written
    assert "Berlin" not in written
    assert (settings.data / "server.log").stat().st_mode & 0o077 == 0


def test_a_text_log_has_only_requests_that_failed(
    serve_settings: Serve,
    workspace: Path,
    tmp_path: Path,
    features: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_values: object, **_named: object) -> None:
        raise RuntimeError(CANARY)

    settings = Settings(workspace, tmp_path / "data", clock="driven", log_to=tmp_path / "log")
    body = {"agent": "retention", "customer": CANARY, "features": features, "at": AT}
    with serve_settings(settings) as client:
        assert client.post("/v1/decisions", json=body).status_code == 200
        monkeypatch.setattr("serving.deciding.decider.keep", fail)
        answer = client.post("/v1/decisions", json=body)
    assert answer.status_code == 500
    assert CANARY not in answer.text
    text = (tmp_path / "log").read_text()
    assert CANARY not in text
    assert "RuntimeError at " in text
    assert text.count("WARNING nextbest.http: request") == 1
    assert not (tmp_path / "data" / "server.log").exists()


def test_an_error_tells_its_kind_and_place_and_not_its_words() -> None:
    try:
        raise ValueError(CANARY)
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
        record = logging.LogRecord("nextbest", 40, "", 0, "it failed", (), info)
    line = json.loads(JsonLines().format(record))
    assert (line["event"], line["error"], line["level"]) == ("it failed", "ValueError", "error")
    assert line["where"][-1].endswith("test_an_error_tells_its_kind_and_place_and_not_its_words")
    assert CANARY not in str(line)
    assert CANARY not in TextLines().format(record)


def test_facts_stand_in_the_line() -> None:
    record = logging.LogRecord("nextbest", 20, "", 0, "%d done", (3,), None)
    setattr(record, FACTS, {"agent": "care"})
    line = json.loads(JsonLines().format(record))
    assert (line["event"], line["agent"], line["time"][-6:]) == ("3 done", "care", "+00:00")


def test_the_log_is_as_it_was_after_the_context(tmp_path: Path) -> None:
    root = logging.getLogger("nextbest")
    before = (list(root.handlers), root.level)
    with logging_to("json", tmp_path / "new" / "log"):
        root.info("hello")
    root.info("nobody hears")
    assert [line["event"] for line in lines(tmp_path / "new" / "log")] == ["hello"]
    assert (root.handlers, root.level) == before


def test_a_log_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with logging_to("text", log):
        logging.getLogger("nextbest").info("one")
        log.rename(tmp_path / "old")
        logging.getLogger("nextbest").info("two")
    assert log.read_text().endswith("two\n")


def test_without_a_file_it_goes_to_standard_error(capfdbinary: Any) -> None:
    with logging_to("text", None):
        logging.getLogger("nextbest.learner").warning("ünlucky")
    assert "WARNING nextbest.learner: ünlucky\n".encode() in capfdbinary.readouterr().err


def scope(*headers: tuple[bytes, bytes]) -> Scope:
    return {"type": "http", "method": "GET", "path": "/healthz", "headers": list(headers)}


async def ok(_scope: Scope, _receive: Receive, send: Send) -> None:
    own = (b"x-request-id", b"somebody-else-s")
    await send({"type": "http.response.start", "status": 200, "headers": [own]})
    await send({"type": "http.response.body", "body": b""})


def answer(watch: Watch, asked: Scope, app: Any = ok) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(watch.answer(app, asked, receive, send))
    return sent


@pytest.mark.parametrize("given", [b"", b"x" * 65, b"a b", b"a\nb", "ü".encode()])
def test_an_id_that_is_none_is_replaced(given: bytes) -> None:
    sent = answer(Watch(Meters()), scope((b"x-request-id", given)))
    ((name, value),) = sent[0]["headers"]
    assert name == b"x-request-id"
    assert value != given
    assert len(value) == 16


def test_a_good_id_is_taken_over_once() -> None:
    asked = scope((b"host", b"a"), (b"x-request-id", b"A-b.9_"))
    assert answer(Watch(Meters()), asked)[0]["headers"] == [(b"x-request-id", b"A-b.9_")]


def test_where_another_puts_the_id_it_is_not_put_twice() -> None:
    watch = Watch(Meters())
    watch.echo = False
    assert answer(watch, scope())[0]["headers"] == [(b"x-request-id", b"somebody-else-s")]
    assert watch.meters.http.keys() == {("GET", "/healthz", 200)}


def test_a_request_is_watched_once_however_many_watch_it() -> None:
    watch = Watch(Meters())

    async def inner(asked: Scope, receive: Receive, send: Send) -> None:
        await watch.answer(ok, asked, receive, send)

    answer(watch, scope(), inner)
    assert sum(watch.meters.http["GET", "/healthz", 200].counts) == 1


def test_a_caller_who_has_gone_is_counted_as_such() -> None:
    async def cut(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise asyncio.CancelledError

    watch = Watch(Meters())
    with pytest.raises(asyncio.CancelledError):
        answer(watch, scope(), cut)
    assert watch.meters.http.keys() == {("GET", "/healthz", 499)}


def test_an_error_before_any_answer_is_left_to_the_server() -> None:
    async def fail(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        answer(Watch(Meters()), scope(), fail)
