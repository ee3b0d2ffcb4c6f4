"""The direct way of a loop's routes, as `serving.api.direct` is for the others.

A request in its usual shape goes to its handler, which reads the body by itself and says what is
wrong with it. Whatever is unusual goes on to FastAPI, which ends at the same handler.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import NamedTuple

from fastapi import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agents.errors import NextbestError
from serving.api.direct import again, messages_of
from serving.api.problems import failed, problem, refused
from serving.api.strict import BodyError
from serving.loops.errors import LOOPS
from serving.loops.rank import answer_activate, answer_rank, answer_reward
from serving.security.scopes import ACTIONS, SMALL

_PATH = re.compile(
    r"(?:/loops/(?P<agent>[^/]+))?/personalizer/v1\.0/"
    r"(?:rank|events/(?P<event>[^/]{1,256})/(?P<what>reward|activate))"
)


class Template(NamedTuple):
    """What stands for a route in metrics and logs, where FastAPI has not been asked."""

    path_format: str


class _Call(NamedTuple):
    """One of the calls of an event.

    Args:
        agent: the loop that is named, None for the only one.
        event: its id, empty for a Rank.
        what: `rank`, `reward` or `activate`.
    """

    agent: str | None
    event: str
    what: str


class LoopsDirect:
    """Stands before FastAPI and behind the gate.

    Args:
        app: what the rest goes on to.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        call = _call(scope)
        if call is None:
            await self._app(scope, receive, send)
            return
        most = ACTIONS if call.what == "rank" else SMALL
        messages = await messages_of(receive, most)
        raw = _body(messages, most)
        if raw is None or not _usual(scope, needs_type=call.what != "activate"):
            await self._app(scope, again(messages, receive), send)
            return
        scope["route"] = _template(call)
        try:
            response: Response = await _answer(call, scope, raw)
        except NextbestError as error:
            response = await refused(Request(scope), error)
        except BodyError as error:
            response = problem(error.status_code, "The body cannot be accepted", error.detail)
        except Exception as error:
            await (await failed(Request(scope), error))(scope, receive, send)
            raise  # for the log
        await response(scope, receive, send)


def _call(scope: Scope) -> _Call | None:
    """Return which call a request is, None if none."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    path: str = scope["path"]
    if not path.startswith(LOOPS):
        return None
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    agent, event, what = found.groups()
    return _Call(agent, event or "", what or "rank")


def _template(call: _Call) -> Template:
    start = "/personalizer/v1.0" if call.agent is None else "/loops/{agent}/personalizer/v1.0"
    rest = "rank" if call.what == "rank" else f"events/{{event_id}}/{call.what}"
    return Template(f"{start}/{rest}")


def _answer(call: _Call, scope: Scope, raw: bytes) -> Awaitable[Response]:
    if call.what == "rank":
        return answer_rank(scope, raw, call.agent)
    if call.what == "reward":
        return answer_reward(scope, raw, call.agent, call.event)
    return answer_activate(scope, call.agent, call.event)


def _body(messages: list[Message], most: int) -> bytes | None:
    """Return the whole body; None if it is too long, or the caller has gone."""
    last = messages[-1]
    if last["type"] != "http.request" or last.get("more_body"):
        return None
    raw: bytes = last.get("body", b"")
    if len(messages) > 1:
        raw = b"".join(message.get("body", b"") for message in messages)
    return raw if len(raw) <= most else None


def _usual(scope: Scope, *, needs_type: bool) -> bool:
    """Say whether a body is plain JSON by its own account."""
    kind = b""
    for name, value in scope["headers"]:
        if name == b"content-type":
            kind = value
        elif name == b"content-encoding":
            return False
    return not needs_type or kind.partition(b";")[0].strip().lower() == b"application/json"
