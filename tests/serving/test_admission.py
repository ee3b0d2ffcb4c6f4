from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

import pytest
from fastapi import FastAPI, Request

from serving.running.admission import Admission, Limits

P = ParamSpec("P")


def awaited(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test on an event loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


class Asked:
    """One request to an application, whose body arrives when the test says so."""

    def __init__(self, app: Admission, path: str = "/") -> None:
        self.sent: list[Any] = []
        self.coming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
            "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
            "scheme": "http", "headers": [], "client": ("127.0.0.1", 1), "server": ("x", 80),
        }  # fmt: skip
        self.task = asyncio.create_task(app(scope, self.coming.get, self._keep))

    async def _keep(self, message: Any) -> None:
        self.sent.append(message)

    def send(self, body: bytes = b"", more: bool = False) -> None:
        self.coming.put_nowait({"type": "http.request", "body": body, "more_body": more})

    async def status(self) -> int:
        await self.task
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> Any:
        return json.loads(b"".join(part.get("body", b"") for part in self.sent[1:]))


def gated() -> tuple[FastAPI, asyncio.Event, asyncio.Queue[bytes]]:
    """Build an application that answers when the gate is open, and tells what it received."""
    app, gate, received = FastAPI(), asyncio.Event(), asyncio.Queue[bytes]()

    @app.post("/")
    async def wait(request: Request) -> dict[str, int]:
        received.put_nowait(await request.body())
        await gate.wait()
        return {"ok": 1}

    @app.post("/readyz")
    async def ready() -> dict[str, int]:
        return {"ready": 1}

    return app, gate, received


@awaited
async def test_more_than_the_limit_is_refused_at_once_and_room_is_made_again() -> None:
    app, gate, received = gated()
    admission = Admission(app, Limits(3, 10.0))
    let_in = [Asked(admission) for _ in range(3)]
    for asked in let_in:
        asked.send(b"{}")
    for _ in let_in:
        await received.get()
    refused = Asked(admission)
    refused.send(b"{}")
    assert await refused.status() == 503
    assert refused.headers[b"content-type"] == b"application/problem+json"
    assert refused.headers[b"retry-after"] == b"1"
    assert refused.body["status"] == 503
    probe = Asked(admission, "/readyz")  # always answered, though nothing of it has come yet
    assert await probe.status() == 200
    gate.set()
    assert [await asked.status() for asked in let_in] == [200, 200, 200]
    later = Asked(admission)
    later.send(b"{}")
    assert await later.status() == 200


@awaited
async def test_a_body_that_does_not_come_is_not_waited_for_and_takes_no_place() -> None:
    app, gate, received = gated()
    admission = Admission(app, Limits(1, 0.05))
    slow = Asked(admission)
    slow.send(b"{", more=True)
    gate.set()
    quick = Asked(admission)
    quick.send(b"{}")
    assert await quick.status() == 200
    assert await slow.status() == 408
    assert slow.headers[b"content-type"] == b"application/problem+json"
    assert received.qsize() == 1


@pytest.mark.parametrize("sizes", [[5], [1, 1, 1], [40_000, 40_000, 40_000], [0, 3]])
@awaited
async def test_a_body_arrives_whole_however_it_is_cut(sizes: list[int]) -> None:
    app, gate, received = gated()
    gate.set()
    asked = Asked(Admission(app, Limits(1, 10.0)))
    for number, size in enumerate(sizes):
        asked.send(b"x" * size, more=number + 1 < len(sizes))
    assert await asked.status() == 200
    assert await received.get() == b"x" * sum(sizes)


@awaited
async def test_a_large_body_that_stops_halfway_is_not_waited_for() -> None:
    app, gate, _ = gated()
    gate.set()
    asked = Asked(Admission(app, Limits(1, 0.05)))
    asked.send(b"x" * 70_000, more=True)
    assert await asked.status() == 408


@awaited
async def test_limits_change_while_requests_are_under_way() -> None:
    app, gate, received = gated()
    admission = Admission(app, Limits(1, 10.0))
    first, second = Asked(admission), Asked(admission)
    first.send(b"{}")
    await received.get()
    admission.limits = admission.limits.changed({"max_waiting": 2})
    second.send(b"{}")
    gate.set()
    assert [await first.status(), await second.status()] == [200, 200]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"max_wating": 3}, "expected max_waiting or body_timeout_s, got max_wating"),
        ({"max_waiting": 0}, "above zero, got 0"),
        ({"body_timeout_s": -1}, "above zero"),
    ],
)
def test_wrong_limits_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Limits(32, 10.0).changed(config)
