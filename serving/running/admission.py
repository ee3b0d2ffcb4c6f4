"""Who gets in: more than a replica can do soon is refused at once, slow senders are not waited for.

An application around the application, the same under Ray Serve and under uvicorn. It counts the
requests under way, each of which waits for its turn at the ledger: one that would wait behind too
many is answered 503 with `Retry-After` now, so that those let in are answered soon. Whether the
server is alive and ready, and what it has measured, can always be asked.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Generator
from dataclasses import dataclass
from types import coroutine
from typing import Any

from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from serving.api.problems import problem
from serving.api.strict import MAX_BODY, BodyError
from serving.app import make_app
from serving.runtime import Runtime
from serving.settings import Settings
from serving.watching.metrics import Meters
from serving.watching.watch import Watch, WatchedApp

_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
_LATE = "expected the whole body sooner; send it again"


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be changed while the server runs.

    Args:
        max_waiting: requests under way at once.
        body_timeout_s: seconds within which a request's body must have arrived.
    """

    max_waiting: int
    body_timeout_s: float

    def changed(self, config: dict[str, Any]) -> Limits:
        """Return these limits with what `config` says otherwise.

        Raises:
            ValueError: an unknown name, or a number that is not above zero.

        Example:
            >>> Limits(32, 10.0).changed({"max_waiting": 8})
            Limits(max_waiting=8, body_timeout_s=10.0)
        """
        unknown = config.keys() - {"max_waiting", "body_timeout_s"}
        if unknown:
            names = ", ".join(sorted(unknown))
            raise ValueError(f"expected max_waiting or body_timeout_s, got {names}")
        waiting = int(config.get("max_waiting", self.max_waiting))
        timeout_s = float(config.get("body_timeout_s", self.body_timeout_s))
        if not (waiting > 0 and timeout_s > 0):
            raise ValueError(f"expected limits above zero, got {waiting} and {timeout_s:g}")
        return Limits(waiting, timeout_s)


class Admission:
    """The application behind its limits.

    Args:
        app: what answers those let in.
        limits: replaced as a whole to change them.
    """

    def __init__(self, app: FastAPI, limits: Limits) -> None:
        self.app = app
        self.limits = limits
        self.watch = app.watch if isinstance(app, WatchedApp) else Watch(Meters())
        self.under_way = 0
        """How many requests have been let in and not been answered."""

    @property
    def runtimes(self) -> list[Runtime]:
        """The running parts of the application; only once it has started."""
        return list(self.app.state.runtimes.values())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it; it is watched in either case."""
        await self.watch.answer(self.admit, scope, receive, send)

    async def admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it; for who watches it already."""
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await self.app(scope, receive, send)
            return
        body = _Body(receive, self.limits.body_timeout_s)
        if not (body.at_once() or await body.arrived()):
            await problem(408, "Request Timeout", _LATE)(scope, receive, send)
            return
        if self.under_way >= self.limits.max_waiting:
            detail = f"{self.under_way} requests are under way; retry with the same key"
            await problem(503, "Too many requests are under way", detail)(scope, receive, send)
            return
        self.under_way += 1
        try:
            await self.app(scope, body.receive, send)
        finally:
            self.under_way -= 1


@coroutine
def _rest(steps: Generator[Any, None, Message], waits_for: Any) -> Generator[Any, None, Message]:
    """Go on with a receive that has begun, once what it waits for has happened."""
    with contextlib.closing(steps):
        yield waits_for
        return (yield from steps)


class _Body:
    """A body received before anything else is done about its request.

    Mostly it is there already, and no deadline is set. One that is larger than what most routes
    accept is received to there; what follows is left to the route that reads it, under the same
    deadline.
    """

    __slots__ = ("_begun", "_deadline", "_messages", "_receive", "_timeout_s", "_whole")

    def __init__(self, receive: Receive, timeout_s: float) -> None:
        self._receive, self._timeout_s, self._deadline = receive, timeout_s, 0.0
        self._messages = deque[Message]()
        self._whole = False
        self._begun: Awaitable[Message] | None = None

    def at_once(self) -> bool:
        """Take what is there without waiting; return whether that is the whole body."""
        steps = self._receive().__await__()
        try:
            waits_for = next(steps)
        except StopIteration as done:
            self._messages.append(self._kept(done.value))
        else:
            self._begun = _rest(steps, waits_for)
        return self._whole

    async def arrived(self) -> bool:
        """Wait for the rest of the body; return whether it came in time."""
        self._deadline = asyncio.get_running_loop().time() + self._timeout_s
        size = sum(len(message.get("body", b"")) for message in self._messages)
        try:
            async with asyncio.timeout_at(self._deadline):
                while not self._whole and size <= MAX_BODY:
                    coming, self._begun = self._begun or self._receive(), None
                    message = self._kept(await coming)
                    self._messages.append(message)
                    size += len(message.get("body", b""))
        except TimeoutError:
            return False
        return True

    def _kept(self, message: Message) -> Message:
        self._whole = not message.get("more_body", False)
        return message

    async def receive(self) -> Message:
        """Return the next message, of the body or after it."""
        if self._messages:
            return self._messages.popleft()
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                return self._kept(await self._receive())
        except TimeoutError as error:
            raise BodyError(_LATE, 408) from error


def make_server_app(settings: Settings) -> Admission:
    """Build the application of one replica behind the limits of its settings."""
    return Admission(make_app(settings), Limits(settings.max_waiting, settings.body_timeout_s))
