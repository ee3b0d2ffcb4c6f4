"""Busy routes without detours: what is well-formed goes to its handler, the rest to FastAPI.

FastAPI's routing, exit stacks, dependencies and validation cost several times what a decision may.
Here a request in its usual shape is read by the same strict parser and the same model, and given to
the same function. Whatever is unusual, or wrong, goes on to FastAPI with its body unread, so that
there is one place which says what is wrong, and one document that describes the route.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter, ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agents.errors import NextbestError
from serving.api import decisions, outcomes
from serving.api.problems import failed, refused
from serving.api.strict import MAX_BODY, BodyError, parse_json
from serving.api.wire import Body, DecisionBody, Identifier, OutcomeBody

_KEY: TypeAdapter[str] = TypeAdapter(Identifier)

Handler = Callable[[Any, Scope, str | None], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Busy:
    """A route that is asked so often that it is worth a way of its own.

    Args:
        model: of its body.
        handle: given the body, the request's ASGI scope and the idempotency key.
    """

    model: type[Body]
    handle: Handler


class _Asked(NamedTuple):
    """The body of a well-formed request and its idempotency key."""

    body: Body
    key: str | None


class Direct:
    """Stands before FastAPI, its middleware included, and behind the gate.

    Args:
        app: what the rest goes on to.
        routes: by path, those that are asked by POST.
    """

    def __init__(self, app: ASGIApp, routes: Mapping[str, Busy]) -> None:
        self._app, self._routes = app, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        usual = scope["type"] == "http" and scope["method"] == "POST"
        busy = self._routes.get(scope["path"]) if usual else None
        if busy is None:
            await self._app(scope, receive, send)
            return
        messages = await messages_of(receive)
        asked = _read(busy.model, scope, messages)
        if asked is None:
            await self._app(scope, again(messages, receive), send)
            return
        try:
            response = await busy.handle(asked.body, scope, asked.key)
        except NextbestError as error:
            response = await refused(Request(scope), error)
        except Exception as error:
            await (await failed(Request(scope), error))(scope, receive, send)
            raise  # for the log
        await response(scope, receive, send)


async def messages_of(receive: Receive, most: int = MAX_BODY) -> list[Message]:
    """Receive the body, or as much of it as may be: `most` bytes."""
    messages, size = list[Message](), 0
    while size <= most:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        if not message.get("more_body", False):
            break
    return messages


def again(messages: list[Message], receive: Receive) -> Receive:
    """Return what receives the messages once more, and then what follows them."""
    waiting: Iterator[Message] = iter(messages)

    async def replay() -> Message:
        message = next(waiting, None)
        return await receive() if message is None else message

    return replay


def _read(model: type[Body], scope: Scope, messages: list[Message]) -> _Asked | None:
    """Read a request; None unless all of it is well-formed and usual."""
    kind, key = b"", None
    for name, value in scope["headers"]:
        if name == b"content-type":
            kind = value
        elif name == b"idempotency-key" and key is None:
            key = value
        elif name in (b"content-encoding", b"idempotency-key"):
            return None
    last = messages[-1]
    if kind != b"application/json" or last["type"] != "http.request" or last.get("more_body"):
        return None
    raw = last.get("body", b"")
    if len(messages) > 1:
        raw = b"".join(message.get("body", b"") for message in messages)
    if len(raw) > MAX_BODY:
        return None
    try:
        read = model.model_validate(parse_json(raw))
        return _Asked(read, None if key is None else _KEY.validate_python(key.decode("latin-1")))
    except (BodyError, ValidationError):
        return None


def _outcome(body: OutcomeBody, scope: Scope, _key: str | None) -> Awaitable[Response]:
    return outcomes.answer_outcome(body, scope)


_BUSY = (
    (decisions.router, Busy(DecisionBody, decisions.answer_decision)),
    (outcomes.router, Busy(OutcomeBody, _outcome)),
)


def busy_routes() -> dict[str, Busy]:
    """Return what has a direct way, by path.

    A router with dependencies of its own is left to FastAPI, which alone solves them.
    """
    return {router.prefix: busy for router, busy in _BUSY if not _depends(router)}


def _depends(router: APIRouter) -> bool:
    return bool(router.dependencies) or any(
        getattr(route, "dependencies", ()) for route in router.routes
    )
