from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from agents.decisions import OutcomeEvent
from agents.errors import StateError
from simulators import client as module
from simulators.client import Server

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
EVENT = OutcomeEvent("o-1", "d-1", "renewed", AT)
JSON, TEXT, PROBLEM = "application/json", "text/plain", "application/problem+json"

Answer = tuple[int, str, str]  # status, content type, body
Message = MutableMapping[str, Any]
OK: Answer = (200, JSON, '{"decision_id": "d-1"}')
BUSY: Answer = (503, PROBLEM, '{"detail": "starting"}')


class Application:
    """A small ASGI application that gives prepared answers and keeps the requests."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, dict[str, str], Any]] = []

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        body = (await receive())["body"]
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.requests.append((scope["path"], headers, json.loads(body)))
        status, kind, text = self.answers.pop(0)
        content = [(b"content-type", kind.encode())]
        await send({"type": "http.response.start", "status": status, "headers": content})
        await send({"type": "http.response.body", "body": text.encode()})


class Interrupted(httpx.ASGITransport):
    """A connection that breaks a number of times, after the server has answered."""

    def __init__(self, application: Application, times: int) -> None:
        super().__init__(application)
        self.times = times

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if self.times > 0:
            self.times -= 1
            raise httpx.ReadError("the connection was lost", request=request)
        return response


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.001)


def ask(transport: httpx.AsyncBaseTransport) -> dict[str, Any]:
    async def run() -> dict[str, Any]:
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await Server(client).decide(
                "key-1", agent="retention", customer="c1", features={"age": 40}, at=AT
            )

    return asyncio.run(run())


def record(transport: httpx.AsyncBaseTransport) -> dict[str, Any]:
    async def run() -> dict[str, Any]:
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await Server(client).record(EVENT)

    return asyncio.run(run())


def test_a_decision_is_asked_for_with_its_key() -> None:
    application = Application([OK])
    assert ask(httpx.ASGITransport(application)) == {"decision_id": "d-1"}
    ((path, headers, body),) = application.requests
    assert path == "/v1/decisions"
    assert headers["idempotency-key"] == "key-1"
    assert body == {
        "agent": "retention",
        "customer": "c1",
        "features": {"age": 40},
        "at": "2026-03-02T09:00:00+00:00",
    }


def test_an_outcome_is_sent_with_its_id() -> None:
    application = Application([OK])
    record(httpx.ASGITransport(application))
    ((path, _, body),) = application.requests
    assert path == "/v1/outcomes"
    assert body == EVENT.to_record()


@pytest.mark.parametrize(
    "passing", [BUSY, (502, TEXT, "bad gateway"), (504, TEXT, "late"), (404, TEXT, "no route")]
)
def test_what_may_pass_is_tried_again_with_the_same_request(passing: Answer) -> None:
    application = Application([passing] * 4 + [OK])
    assert ask(httpx.ASGITransport(application)) == {"decision_id": "d-1"}
    assert len(application.requests) == 5
    assert all(request == application.requests[0] for request in application.requests)


def test_a_lost_connection_is_tried_again() -> None:
    application = Application([OK] * 3)
    assert ask(Interrupted(application, times=2)) == {"decision_id": "d-1"}
    assert {headers["idempotency-key"] for _, headers, _ in application.requests} == {"key-1"}


def test_it_gives_up_after_five_tries_and_says_why() -> None:
    application = Application([BUSY] * 6)
    message = (
        r"^the server at http://server/? did not answer POST /v1/decisions in 5 tries; is it"
        r' running\? The last answer was 503: \{"detail": "starting"\}$'
    )
    with pytest.raises(StateError, match=message):
        ask(httpx.ASGITransport(application))
    assert len(application.requests) == 5


def test_it_gives_up_on_a_connection_that_stays_lost() -> None:
    with pytest.raises(StateError, match="The last answer was ReadError: the connection was lost$"):
        ask(Interrupted(Application([OK] * 5), times=5))


@pytest.mark.parametrize(
    "refusal",
    [(404, PROBLEM, "no such agent"), (422, PROBLEM, "not declared"), (500, TEXT, "broken")],
)
def test_a_refusal_is_not_tried_again(refusal: Answer) -> None:
    application = Application([refusal, OK])
    status, _, text = refusal
    message = f"^the server refused POST /v1/outcomes with {status}: {text}$"
    with pytest.raises(StateError, match=message):
        record(httpx.ASGITransport(application))
    assert len(application.requests) == 1
