"""The lane: from a replica's own HTTP server straight to the application, past Ray's wrapper.

Behind HAProxy each replica has an HTTP server of its own. What Ray Serve puts around each request
there (a context, a second task, a queue of messages, a semaphore, counters) serves handles, gRPC,
multiplexing and cancelling; an application that limits, counts and names its requests by itself
needs none of it. Ray calls `middlewares` in every process with an HTTP server of Ray's, since
`RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH` names it; only where an application was offered to the
lane does anything change. Ray's own proxy, probes and every other deployment stay as they are.

What Ray does not see any more, and who sees to it instead:

- requests under way: the application counts them, and tells Ray for its autoscaling;
- the end: the HTTP server, which Ray stops before the application, waits for what is under way;
- a caller who goes away: what was begun for them is finished.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import uvicorn.config
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class _Offer:
    """An application of this process.

    Args:
        app: answers; it names its answers by itself, in `X-Request-Id`.
        below: how the paths may begin that it answers, as HAProxy sends them.
        loop: where it runs.
    """

    app: ASGIApp
    below: tuple[str, ...]
    loop: asyncio.AbstractEventLoop


_PROTOCOL = "serving.running.whole:WholeProtocol"
_OFFERS: list[_Offer] = []


def offer(app: ASGIApp, *below: str) -> None:
    """Let an application answer without Ray; call it on its loop, while the replica starts.

    Args:
        app: answers HTTP, and nothing else.
        below: how the paths may begin that it answers, with the deployment's own prefix.
    """
    _OFFERS.append(_Offer(app, below, asyncio.get_running_loop()))


def middlewares() -> list[Middleware]:
    """Return what Ray is to put before its own handling of a request: Ray calls this by its name.

    Nothing where nothing was offered, or where Ray runs the application on another loop than the
    HTTP server's.
    """
    here = asyncio.get_running_loop() if _OFFERS else None
    found = [Middleware(Lane, each) for each in _OFFERS if each.loop is here]
    if found:  # Ray takes what uvicorn takes by itself, and has no setting for it
        uvicorn.config.HTTP_PROTOCOLS["auto"] = _PROTOCOL
    return found


class Lane:
    """Decides which way a request goes.

    Args:
        app: Ray's way.
        offered: the straight one.
    """

    def __init__(self, app: ASGIApp, offered: _Offer) -> None:
        self._rays, self._straight, self._below = app, offered.app, offered.below

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request go its way."""
        if scope["type"] == "http" and scope["path"].startswith(self._below):
            await self._straight(scope, receive, send)
        else:
            await self._rays(scope, receive, send)
