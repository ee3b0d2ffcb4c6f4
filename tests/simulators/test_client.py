from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from agents.decisions import OutcomeEvent
from agents.errors import StateError
from simulators import client as module
from simulators.client import Question, Server

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
EVENT = OutcomeEvent("o-1", "d-1", "renewed", AT)
JSON, TEXT, PROBLEM = "application/json", "text/plain", "application/problem+json"

Reply = tuple[int, str, bytes]  # status, content type, body
Listen = Callable[..., AbstractAsyncContextManager[str]]
Use = Callable[[Server], Awaitable[Any]]

OK: Reply = (200, JSON, b'{"decision_id": "d-1"}')
BUSY: Reply = (503, PROBLEM, b'{"detail": "starting"}')
CUT = None  # the connection is cut after the request was read


class Desk:
    """Gives prepared replies and keeps the requests."""

    def __init__(self, *replies: Reply | None) -> None:
        self.replies = list(replies)
        self.requests: list[tuple[str, str | None, Any]] = []

    def __call__(self, path: str, headers: dict[str, str], body: Any) -> Reply | None:
        self.requests.append((path, headers.get("idempotency-key"), body))
        return self.replies.pop(0)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.001)


@pytest.fixture
def call(listen: Listen) -> Callable[[Desk, Use], Any]:
    """Let the client use a desk over a real connection."""

    async def run(desk: Desk, use: Use) -> Any:
        async with listen(desk) as url, aiohttp.ClientSession() as session:
            return await use(Server(session, url))

    return lambda desk, use: asyncio.run(run(desk, use))


Call = Callable[[Desk, Use], Any]


def ask(server: Server) -> Awaitable[dict[str, Any]]:
    return server.decide(Question("key-1", "c1", {"age": 40}), agent="retention", at=AT)


def record(server: Server) -> Awaitable[dict[str, Any]]:
    return server.record(EVENT)


def test_a_decision_is_asked_for_with_its_key(call: Call) -> None:
    desk = Desk(OK)
    assert call(desk, ask) == {"decision_id": "d-1"}
    body = {
        "agent": "retention",
        "customer": "c1",
        "features": {"age": 40},
        "at": "2026-03-02T09:00:00+00:00",
    }
    assert desk.requests == [("/v1/decisions", "key-1", body)]


def test_an_outcome_is_sent_with_its_id(call: Call) -> None:
    desk = Desk(OK)
    call(desk, record)
    named = {"outcome_id": "o-1", "decision_id": "d-1", "outcome": "renewed"}
    body = {**named, "at": EVENT.at.isoformat()}
    assert desk.requests == [("/v1/outcomes", None, body)]


def test_an_outcome_is_sent_with_its_amounts_or_its_customer(call: Call) -> None:
    desk = Desk(OK, OK)
    paid = replace(EVENT, properties={"amount": 12.5})
    call(desk, lambda server: server.record(paid))
    assert desk.requests[0][2]["properties"] == {"amount": 12.5}
    call(desk, lambda server: server.record(replace(EVENT, decision_id="", customer="c1")))
    assert desk.requests[1][2]["customer"] == "c1"
    assert "decision_id" not in desk.requests[1][2]


@pytest.mark.parametrize(
    "passing",
    [
        BUSY,
        (429, PROBLEM, b"slow down"),
        (502, TEXT, b"bad gateway"),
        (504, TEXT, b"late"),
        (404, TEXT, b"no route"),
        CUT,
    ],
)
def test_what_may_pass_is_tried_again_with_the_same_request(
    call: Call, passing: Reply | None
) -> None:
    desk = Desk(*[passing] * 4, OK)
    assert call(desk, ask) == {"decision_id": "d-1"}
    assert len(desk.requests) == 5
    assert all(request == desk.requests[0] for request in desk.requests)


def test_it_gives_up_after_five_tries_and_says_why(call: Call) -> None:
    desk = Desk(*[BUSY] * 6)
    message = (
        r"^the server at http://127\.0\.0\.1:\d+ did not answer POST /v1/decisions in 5 tries; is"
        r' it running\? The last answer was 503: \{"detail": "starting"\}$'
    )
    with pytest.raises(StateError, match=message):
        call(desk, ask)
    assert len(desk.requests) == 5


def test_it_gives_up_on_a_connection_that_stays_lost(call: Call) -> None:
    with pytest.raises(StateError, match="The last answer was ServerDisconnectedError"):
        call(Desk(*[CUT] * 5), ask)


@pytest.mark.parametrize(
    "refusal",
    [(404, PROBLEM, b"no such agent"), (422, PROBLEM, b"not declared"), (500, TEXT, b"broken")],
)
def test_a_refusal_is_not_tried_again(call: Call, refusal: Reply) -> None:
    desk = Desk(refusal, OK)
    status, _, content = refusal
    message = f"^the server refused POST /v1/outcomes with {status}: {content.decode()}$"
    with pytest.raises(StateError, match=message):
        call(desk, record)
    assert len(desk.requests) == 1


QUESTIONS = [Question("key-1", "c1", {"age": 40}), Question("key-2", "c2", {}, "banner")]


def ask_many(server: Server) -> Awaitable[list[dict[str, Any]]]:
    return server.decide_many(QUESTIONS, agent="retention", at=AT)


def test_many_decisions_are_asked_for_in_one_request_line_by_line(call: Call) -> None:
    lines = b'{"decision_id": "d-1"}\n{"decision_id": "d-2"}\n'
    desk = Desk(CUT, (200, "application/x-ndjson", lines))
    assert call(desk, ask_many) == [{"decision_id": "d-1"}, {"decision_id": "d-2"}]
    body = {
        "agent": "retention",
        "at": "2026-03-02T09:00:00+00:00",
        "decisions": [
            {"key": "key-1", "customer": "c1", "features": {"age": 40}},
            {"key": "key-2", "customer": "c2", "features": {}, "placement": "banner"},
        ],
    }
    assert desk.requests == [("/v1/decisions/batch", None, body)] * 2


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            b'{"decision_id": "d-1"}\n{"customer": "c2", "title": "Unfit", "detail": "no age"}\n',
            "got 1 of 2 lines; the first problem was Unfit: no age",
        ),
        (b'{"decision_id": "d-1"}\n', "got 1 of 1 lines; was the connection cut[?]"),
    ],
)
def test_a_line_that_is_no_decision_is_an_error(call: Call, lines: bytes, said: str) -> None:
    message = f"^expected 2 decisions of POST /v1/decisions/batch, {said}$"
    with pytest.raises(StateError, match=message):
        call(Desk((200, JSON, lines)), ask_many)


def test_many_outcomes_are_sent_in_one_request_and_each_must_be_taken(call: Call) -> None:
    events = [EVENT, replace(EVENT, outcome_id="o-2")]
    taken = b'{"outcomes": [{"status": 200}, {"status": 202}]}'
    unfit = b'{"status": 422, "problem": {"title": "Unfit", "detail": "no such word"}}'
    desk = Desk((200, JSON, taken), (200, JSON, b'{"outcomes": [{"status": 200}, ' + unfit + b"]}"))
    call(desk, lambda server: server.record_many(events))
    (path, _, body), *_ = desk.requests
    assert path == "/v1/outcomes/batch"
    assert [each["outcome_id"] for each in body["outcomes"]] == ["o-1", "o-2"]
    message = "^the server refused 1 of 2 outcomes; the first problem was Unfit: no such word$"
    with pytest.raises(StateError, match=message):
        call(desk, lambda server: server.record_many(events))


def test_who_expects_refusals_may_try_more_often(listen: Listen) -> None:
    async def run() -> int:
        desk = Desk(*[BUSY] * 11, OK)
        async with listen(desk) as url, aiohttp.ClientSession() as session:
            server = Server(session, url, tries=12)
            await ask(server)
            return server.again

    assert asyncio.run(run()) == 11
