"""A caller that goes away: nothing of the decision is there, or all of it, found by its key."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from serving.app import make_app
from serving.ledger import Ledger, open_reader
from serving.ledger.postgres import PostgresDatabase
from serving.ledger.sqlite import SqliteDatabase
from serving.settings import Settings

AT = "2026-03-02T09:00:00+00:00"
RULE = "  pause: {rule: cooldown, pause: 3d, scope: all}\n"
STEPS = ("begin", "rows", "run", "commit")
DECISIONS = "SELECT count(*) FROM log WHERE kind = 'decision'"
CONTACTS = "SELECT count(*) FROM past WHERE event = ''"


class Steps:
    """Counts what the server does, and does something at one step.

    Args:
        at: the step.
        act: what is done there.
    """

    def __init__(self) -> None:
        self.at, self.count = 0, 0
        self.act: Callable[[], None] = lambda: None

    def reach(self) -> None:
        self.count += 1
        if self.count == self.at:
            self.act()

    def hook(self, patch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        plain = getattr(owner, name)

        def hooked(*args: Any, **named: Any) -> Any:
            self.reach()
            result = plain(*args, **named)
            self.reach()
            return result

        patch.setattr(owner, name, hooked)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    made = Steps()
    for owner in (SqliteDatabase, PostgresDatabase):
        for name in STEPS:
            made.hook(monkeypatch, owner, name)
    return made


def request(customer: str) -> bytes:
    body = {"agent": "sales", "customer": customer, "features": {"spend": 1.0}, "at": AT}
    return json.dumps(body).encode()


def cancel(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> None:
    """End a request as a server does when its caller is gone; from any thread."""
    loop.call_soon_threadsafe(task.cancel)


class Caller:
    """Asks an application without a socket, and may go away at any of its steps."""

    def __init__(self, app: Any, steps: Steps) -> None:
        self._app, self._steps = app, steps

    async def ask(self, key: str, cut_at: int = 0) -> tuple[int, dict[str, Any]]:
        """Ask for a decision; return the status, 0 if it was cut, and the answer."""
        steps, loop = self._steps, asyncio.get_running_loop()
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            steps.reach()
            await asyncio.sleep(0)
            return {"type": "http.request", "body": request(key), "more_body": False}

        async def send(message: Any) -> None:
            steps.reach()
            await asyncio.sleep(0)
            sent.append(message)
            steps.reach()
            await asyncio.sleep(0)

        headers = {"host": "127.0.0.1", "content-type": "application/json", "idempotency-key": key}
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
            "scheme": "http", "path": "/v1/decisions", "raw_path": b"/v1/decisions",
            "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }  # fmt: skip
        task = loop.create_task(self._app(scope, receive, send))
        steps.count, steps.at = 0, cut_at
        steps.act = lambda: cancel(loop, task)
        try:
            await task
        except asyncio.CancelledError:
            return 0, {}
        finally:
            steps.at = 0
        raw = b"".join(message.get("body", b"") for message in sent)
        return int(sent[0]["status"]), json.loads(raw)


def test_a_cut_at_every_step_leaves_nothing_or_the_whole_decision(
    write_shop: Any, tmp_path: Path, ledger_url: str, steps: Steps
) -> None:
    settings = Settings(
        write_shop(RULE), tmp_path / "data", clock="driven", ledger_url=ledger_url,
        sweep_every_s=3_600.0, poll_s=3_600.0,
    )  # fmt: skip
    outcomes: dict[str, bool] = {}

    async def cut(app: Any, caller: Caller, step: int) -> None:
        key = f"k{step}"
        status, _ = await caller.ask(key, step)
        writer = app.state.runtime.writer
        await writer.submit(lambda ledger: None)  # what was under way is settled now
        stored = await writer.submit(lambda ledger: ledger.find_by_key(key))
        outcomes[key] = stored is not None
        if stored is not None:
            assert await writer.submit(lambda ledger: contacts(ledger, key)) == 1
        again, answer = await caller.ask(key)
        assert (status in (0, 200), again) == (True, 200), answer
        if stored is not None:
            assert answer["decision_id"] == stored.decision.decision_id
        else:
            assert status == 0

    def contacts(ledger: Ledger, key: str) -> int:
        found: int = ledger._db.rows(f"{CONTACTS} AND customer = ?", (key,))[0][0]
        return found

    async def go() -> None:
        app = make_app(settings)
        async with app.router.lifespan_context(app):
            caller = Caller(app, steps)
            assert (await caller.ask("first"))[0] == 200
            for step in range(1, steps.count + 1):
                await cut(app, caller, step)

    asyncio.run(go())
    assert set(outcomes.values()) == {True, False}
    assert len(outcomes) > 20
    with closing(open_reader(settings)) as reader:
        assert reader._db.rows(DECISIONS) == [(len(outcomes) + 1,)]
        assert reader._db.rows(CONTACTS) == [(len(outcomes) + 1,)]


def test_a_connection_that_is_closed_early_leaves_nothing_or_the_whole_decision(
    write_shop: Any, tmp_path: Path, ledger_url: str, nursery: Any, line: Any
) -> None:
    lives = nursery(Settings(write_shop(RULE), tmp_path / "data", clock="driven",
                             ledger_url=ledger_url))  # fmt: skip
    lives.serve()
    whole = {}
    with closing(line(lives.port)) as http:
        for number in range(24):
            key, body = f"k{number}", request(f"c{number}")
            head = (
                f"POST /v1/decisions HTTP/1.1\r\nHost: 127.0.0.1\r\nIdempotency-Key: {key}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            ).encode()
            message = head + body
            whole[key] = number % 3 == 0
            part = message if whole[key] else message[: len(message) * (number + 1) // 26]
            with socket.create_connection(("127.0.0.1", lives.port)) as connection:
                connection.sendall(part)
            status, headers, answer = http.post("/v1/decisions", json.loads(body), key)
            assert status == 200, answer
            if headers["Idempotent-Replay"]:
                assert whole[key], "it was decided before all of it had come"
    with closing(open_reader(lives.settings)) as reader:
        assert reader._db.rows(DECISIONS) == [(24,)]
        assert reader._db.rows(CONTACTS) == [(24,)]
