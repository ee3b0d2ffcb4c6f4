from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Response
from starlette.types import Message, Receive, Scope, Send

from serving.api import decisions
from serving.api.direct import Busy, Direct, busy_routes
from serving.api.strict import MAX_BODY
from serving.api.wire import Body

AT = "2026-03-02T09:00:00+00:00"
PLAIN = {"Content-Type": "application/json"}
ROUNDABOUT = {"Content-Type": "application/json; charset=utf-8"}  # unusual enough for FastAPI

Serve = Callable[..., AbstractContextManager[httpx.Client]]


class Question(Body):
    n: int


Said = tuple[str, bytes]


def ask(
    chunks: list[bytes], headers: dict[str, str] | None = None, path: str = "/ask"
) -> tuple[Said, list[Message]]:
    """Ask `Direct` alone; return who answered and what the rest of the application received."""
    said: list[Said] = []
    passed: list[Message] = []

    async def handle(body: Question, _scope: Scope, key: str | None) -> Response:
        said.append(("direct", f"{body.n} {key}".encode()))
        return Response(b"{}")

    async def rest(_scope: Scope, receive: Receive, _send: Send) -> None:
        while True:
            passed.append(await receive())
            if passed[-1]["type"] == "http.disconnect" or not passed[-1].get("more_body"):
                break
        said.append(("rest", b"".join(message.get("body", b"") for message in passed)))

    waiting = [
        {"type": "http.request", "body": chunk, "more_body": number + 1 < len(chunks)}
        for number, chunk in enumerate(chunks)
    ]

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(_message: Message) -> None:
        pass

    every = headers if headers is not None else PLAIN
    scope = {
        "type": "http", "method": "POST", "path": path,
        "headers": [(k.lower().encode(), v.encode()) for k, v in every.items()],
    }  # fmt: skip
    asyncio.run(Direct(rest, {"/ask": Busy(Question, handle)})(scope, receive, send))
    (one,) = said
    return one, passed


@pytest.mark.parametrize("chunks", [[b'{"n": 7}'], [b'{"n"', b": 7", b"}"], [b'{"n": 7}', b""]])
def test_a_usual_request_goes_straight_to_its_handler(chunks: list[bytes]) -> None:
    assert ask(chunks) == (("direct", b"7 None"), [])
    assert ask(chunks, PLAIN | {"Idempotency-Key": "k"}) == (("direct", b"7 k"), [])


@pytest.mark.parametrize(
    ("chunks", "headers"),
    [
        ([b'{"n": "7"}'], PLAIN),
        ([b'{"n": 7, "m": 1}'], PLAIN),
        ([b'{"n": 7, "n": 7}'], PLAIN),
        ([b"{", b"}"], PLAIN),
        ([b""], PLAIN),
        ([b'{"n": 7}'], {}),
        ([b'{"n": 7}'], ROUNDABOUT),
        ([b'{"n": 7}'], PLAIN | {"Content-Encoding": "identity"}),
        ([b'{"n": 7}'], PLAIN | {"Idempotency-Key": ""}),
        ([b'{"n": 7}'], PLAIN | {"Idempotency-Key": "k" * 129}),
        ([b" " * MAX_BODY, b'{"n": 7}'], PLAIN),
    ],
)
def test_all_else_goes_on_with_its_body_unread(
    chunks: list[bytes], headers: dict[str, str]
) -> None:
    (who, body), passed = ask(chunks, headers)
    assert (who, body) == ("rest", b"".join(chunks))
    assert [message["body"] for message in passed] == chunks


def test_other_routes_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask([b'{"n": 7}'], path="/other")[0] == ("rest", b'{"n": 7}')


def test_a_client_that_leaves_is_left_to_the_rest() -> None:
    assert ask([])[1] == [{"type": "http.disconnect"}]


def test_a_router_with_dependencies_is_left_to_fastapi(monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be what keeps strangers out, and only FastAPI asks them."""
    assert busy_routes().keys() == {"/v1/decisions", "/v1/outcomes"}
    guarded = APIRouter(prefix="/v1/decisions", dependencies=[Depends(lambda: None)])
    monkeypatch.setattr(decisions.router, "dependencies", guarded.dependencies)
    assert busy_routes().keys() == {"/v1/outcomes"}


def test_what_nobody_foresaw_is_answered_and_told() -> None:
    sent: list[Message] = []

    async def handle(_body: Question, _scope: Scope, _key: str | None) -> Response:
        raise ZeroDivisionError("ann")

    async def receive() -> Message:
        return {"type": "http.request", "body": b'{"n": 7}', "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    direct = Direct(FastAPI(), {"/ask": Busy(Question, handle)})
    scope = {
        "type": "http", "method": "POST", "path": "/ask",
        "headers": [(b"content-type", b"application/json")],
    }  # fmt: skip
    with pytest.raises(ZeroDivisionError):
        asyncio.run(direct(scope, receive, send))
    assert sent[0]["status"] == 500
    assert b"Unexpected error" in sent[1]["body"]
    assert b"ann" not in sent[1]["body"]


def test_both_ways_give_one_answer(client: httpx.Client, features: dict[str, Any]) -> None:
    body = {"agent": "retention", "customer": "ann", "features": features, "at": AT}
    key = {"Idempotency-Key": "visit"}
    first = client.post("/v1/decisions", json=body, headers=PLAIN | key)
    again = client.post("/v1/decisions", json=body, headers=ROUNDABOUT | key)
    assert first.status_code == again.status_code == 200
    assert again.headers["Idempotent-Replay"] == "true"
    assert first.json() == again.json()
    assert first.headers["content-type"] == again.headers["content-type"]
    event = {
        "outcome_id": "o", "decision_id": first.json()["decision_id"], "outcome": "renewed",
        "at": AT,
    }  # fmt: skip
    told = [client.post("/v1/outcomes", json=event, headers=kind) for kind in (PLAIN, ROUNDABOUT)]
    assert [answer.json()["replayed"] for answer in told] == [False, True]


@pytest.mark.parametrize(
    "change",
    [
        {"agent": "retentoin"},
        {"features": {"plan": "gold"}},
        {"features": {"tenure_months": 10**20}},
        {"at": None},
        {"customer": ""},
        {"agents": []},
    ],
)
def test_both_ways_refuse_in_the_same_words(
    steady: httpx.Client, features: dict[str, Any], change: dict[str, Any]
) -> None:
    body = {"agent": "retention", "customer": "ann", "features": features, "at": AT} | change
    one, other = (
        steady.post("/v1/decisions", json=body, headers=kind) for kind in (PLAIN, ROUNDABOUT)
    )
    assert one.status_code == other.status_code >= 400
    assert one.json() == other.json()
    assert one.headers["content-type"] == other.headers["content-type"]
