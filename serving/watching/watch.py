"""Watches every request from outside of the application: its id, its time, its line in the log."""

from __future__ import annotations

import logging
import random
import re
import secrets
from collections.abc import Awaitable
from time import perf_counter
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.security.scopes import TABLE
from serving.watching.logs import FACTS, REQUESTS
from serving.watching.metrics import Meters

logger = logging.getLogger(REQUESTS)

NOTES = "nextbest.notes"
"""Where a handler puts what its request's line in the log is to say, in the ASGI scope."""

_ID = "nextbest.request_id"
_HEADER = b"x-request-id"
_GOOD_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_CUT = 499  # the caller has gone before it was answered
_UNKNOWN = "other"
_RANDOM = random.Random(secrets.token_bytes(32))  # noqa: S311 - an id is no secret
_PLAIN = frozenset(path for _, path in TABLE if "{" not in path)


class Watch:
    """Counts and logs requests; each is watched once, however many applications it passes.

    Args:
        meters: of the replica.
    """

    def __init__(self, meters: Meters) -> None:
        self.meters = meters
        self.echo = True
        """Whether answers are to hold the request's id; Ray Serve puts it there by itself."""

    async def answer(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Let an application answer."""
        if scope["type"] != "http" or _ID in scope:
            await app(scope, receive, send)
            return
        started, status = perf_counter(), 0
        request_id = scope[_ID] = _request_id(scope)

        def watched(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self.echo:
                    kept = [each for each in message["headers"] if each[0] != _HEADER]
                    message = {**message, "headers": [*kept, (_HEADER, request_id)]}
            return send(message)

        try:
            await app(scope, receive, watched)
        except Exception as error:
            if not status:
                raise  # nobody was answered: the server has to
            _report(request_id, error)
        finally:
            self._tell(scope, status or _CUT, perf_counter() - started)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route = self._route(scope)
        self.meters.answered(scope["method"], route, status, seconds)
        level = logging.WARNING if status >= 500 else logging.INFO
        if logger.isEnabledFor(level):
            facts = {
                "request_id": scope[_ID].decode(),
                "method": scope["method"],
                "route": route,
                "status": status,
                "ms": round(1e3 * seconds, 3),
                **scope.get(NOTES, {}),
            }
            told = {FACTS: facts}
            logger.handle(  # as `log` does, but for a search of the stack for who called
                logger.makeRecord(logger.name, level, __file__, 0, "request", (), None, extra=told)
            )

    def _route(self, scope: Scope) -> str:
        """Return the template of the route: a path itself may hold a customer's id."""
        path: str = scope["path"]
        if path in _PLAIN:
            return path
        return str(getattr(scope.get("route"), "path_format", _UNKNOWN))


class WatchedApp(FastAPI):
    """An application that is watched from outside of all that stands before its routes."""

    watch: Watch
    entrance: ASGIApp
    """What every request meets first; it may go on to `by_route`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or run the life of the application."""
        scope["app"] = self
        await self.watch.answer(self.entrance, scope, receive, send)

    async def by_route(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as FastAPI does."""
        await super().__call__(scope, receive, send)


def note(scope: Scope, **facts: Any) -> None:
    """Say something in the request's line in the log: plain JSON values, nothing of a customer."""
    scope[NOTES] = scope[NOTES] | facts if NOTES in scope else facts


def _request_id(scope: Scope) -> bytes:
    """Return the caller's id of a request if it has a good one, else a new one."""
    for name, value in scope["headers"]:
        if name == _HEADER and _GOOD_ID.fullmatch(value):
            return bytes(value)
    return b"%016x" % _RANDOM.getrandbits(64)


def _report(request_id: bytes, error: Exception) -> None:
    facts = {"request_id": request_id.decode()}
    logger.error("a request failed unexpectedly", exc_info=error, extra={FACTS: facts})
