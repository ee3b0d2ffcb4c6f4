"""The server without Ray: the same application under uvicorn, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from agents.errors import StateError
from serving.running.admission import make_server_app
from serving.settings import Settings

_GRACE_S = 35


def timely_protocol(timeout_s: float) -> type[HttpToolsProtocol]:
    """Make a protocol that closes a connection whose request's head takes too long.

    Args:
        timeout_s: seconds for the head of each request, from its first byte on; of the first one
            from the connection on.
    """

    class Timely(HttpToolsProtocol):
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
            super().connection_made(transport)
            self._timer = self.loop.call_later(timeout_s, transport.close)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            if self._timer is None:
                self._timer = self.loop.call_later(timeout_s, self.transport.close)

        def on_headers_complete(self) -> None:
            self._forget()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            super().connection_lost(exc)

        def _forget(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return Timely


def _run(server: uvicorn.Server) -> None:
    with contextlib.suppress(SystemExit):  # uvicorn's way to end a process; this is a thread of one
        server.run()


@contextlib.contextmanager
def plain_server(settings: Settings) -> Iterator[threading.Thread]:
    """Run uvicorn in a thread inside the context; yields the thread once requests are answered.

    Raises:
        StateError: the application does not start.
    """
    config = uvicorn.Config(
        make_server_app(settings),
        host=settings.host,
        port=settings.port,
        http=timely_protocol(settings.body_timeout_s),
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="error",
        timeout_keep_alive=90,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=_run, args=(server,), name="uvicorn")
    thread.start()
    try:
        while not server.started:
            thread.join(0.02)
            if not thread.is_alive():
                raise StateError("the application could not start; its log says why")
        yield thread
    finally:
        server.should_exit = True
        thread.join()
