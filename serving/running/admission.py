"""Who gets in: more than a replica can do soon is refused at once, slow senders are not waited for.

An application around the application, the same under Ray Serve and under uvicorn. It counts the
requests under way, each of which waits for its turn at the ledger: one that would wait behind too
many is answered 503 with `Retry-After` now, so that those let in are answered soon. Whether the
server is alive and ready, and what it has measured, can always be asked.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
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
        self._under_way = 0

    @property
    def runtimes(self) -> list[Runtime]:
        """The running parts of the application; only once it has started."""
        return list(self.app.state.runtimes.values())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it; it is watched in either case."""
        await self.watch.answer(self._answer, scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await self.app(scope, receive, send)
            return
        body = _Body(receive, self.limits.body_timeout_s)
        if not await body.arrived():
            await problem(408, "Request Timeout", _LATE)(scope, receive, send)
        elif self._under_way >= self.limits.max_waiting:
            detail = f"{self._under_way} requests are under way; retry with the same key"
            await problem(503, "Too many requests are under way", detail)(scope, receive, send)
        else:
            await self._let_in(scope, body, send)

    async def _let_in(self, scope: Scope, body: _Body, send: Send) -> None:
        self._under_way += 1
        try:
            await self.app(scope, body.receive, send)
        finally:
            self._under_way -= 1


class _Body:
    """A body received before anything else is done about its request.

    One that is larger than what most routes accept is received to there; what follows is left to
    the route that reads it, under the same deadline.
    """

    def __init__(self, receive: Receive, timeout_s: float) -> None:
        self._receive = receive
        self._deadline = asyncio.get_running_loop().time() + timeout_s
        self._messages = deque[Message]()
        self._whole = False

    async def arrived(self) -> bool:
        """Receive the body; return whether it came in time."""
        size = 0
        try:
            async with asyncio.timeout_at(self._deadline):
                while not self._whole and size <= MAX_BODY:
                    message = await self._next()
                    self._messages.append(message)
                    size += len(message.get("body", b""))
        except TimeoutError:
            return False
        return True

    async def _next(self) -> Message:
        message = await self._receive()
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
                return await self._next()
        except TimeoutError as error:
            raise BodyError(_LATE, 408) from error


def make_server_app(settings: Settings) -> Admission:
    """Build the application of one replica behind the limits of its settings."""
    return Admission(make_app(settings), Limits(settings.max_waiting, settings.body_timeout_s))
