"""Answers on the wire: whole, and none kept back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from serving.running.whole import WholeProtocol

POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
BODY = {"type": "http.response.body"}


class Wire(asyncio.Transport):
    """Keeps each piece that is written."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closed = asyncio.Event()
        self.written = asyncio.Event()

    def write(self, data: Any) -> None:
        self.pieces.append(bytes(data))
        self.written.set()

    def close(self) -> None:
        self.closed.set()

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def resume_reading(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass


def connect(app: ASGIApp) -> tuple[WholeProtocol, Wire]:
    config = uvicorn.Config(app, lifespan="off", log_config=None)
    config.load()
    protocol, wire = WholeProtocol(config, ServerState(), {}), Wire()
    protocol.connection_made(wire)
    return protocol, wire


def head(**headers: str) -> dict[str, Any]:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": 200, "headers": pairs}


def answering(*messages: dict[str, Any]) -> ASGIApp:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for message in messages:
            await send(message)

    return app


def run(test: Callable[[], Coroutine[Any, Any, list[bytes]]]) -> list[bytes]:
    async def timely() -> list[bytes]:
        return await asyncio.wait_for(test(), 10)

    return asyncio.run(timely())


async def exchange(app: ASGIApp, *sent: bytes) -> list[bytes]:
    """Send something; return what came back until the connection was closed."""
    protocol, wire = connect(app)
    for each in sent:
        protocol.data_received(each)
    await wire.closed.wait()
    return wire.pieces


CLOSE = b"Connection: close\r\n\r\n{}"


def test_head_and_body_are_one_piece() -> None:
    app = answering(head(**{"content-length": "3"}), BODY | {"body": b"abc"})
    pieces = run(lambda: exchange(app, POST + CLOSE))
    assert len(pieces) == 1
    assert pieces[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert pieces[0].endswith(b"\r\n\r\nabc")


def test_parts_of_a_stream_are_written_as_they_come() -> None:
    more = [BODY | {"body": part, "more_body": True} for part in (b"HTTP/1.1 a", b"HTTP/1.1 b")]
    app = answering(head(), *more, BODY)
    pieces = run(lambda: exchange(app, POST + CLOSE))
    assert [piece.count(b"HTTP/1.1") for piece in pieces] == [2, 1, 0]
    assert pieces[-1] == b"0\r\n\r\n"


def test_a_body_that_looks_like_a_head_is_not_kept_back() -> None:
    parts = [BODY | {"body": b"HTTP/1.1 x", "more_body": more} for more in (True, True, False)]
    app = answering(head(**{"content-length": "30"}), *parts)
    pieces = run(lambda: exchange(app, POST + CLOSE))
    assert [piece.count(b"HTTP/1.1") for piece in pieces] == [2, 1, 1]
    assert b"".join(pieces).endswith(b"\r\n\r\n" + 3 * b"HTTP/1.1 x")


@pytest.mark.parametrize("status", [200, 204])
def test_an_answer_without_a_body_is_sent(status: int) -> None:
    app = answering(head() | {"status": status}, BODY)
    asked = b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    pieces = run(lambda: exchange(app, asked))
    assert b"".join(pieces).startswith(b"HTTP/1.1 %d" % status)


def test_a_head_without_an_end_is_sent_when_the_connection_closes() -> None:
    assert b"".join(run(lambda: exchange(answering(head()), POST + CLOSE))).startswith(b"HTTP/1.1")


def test_a_sender_who_waits_for_a_word_gets_it() -> None:
    async def test() -> list[bytes]:
        app = answering(head(**{"content-length": "0"}), BODY)
        protocol, wire = connect(app)
        protocol.data_received(POST + b"Expect: 100-continue\r\nConnection: close\r\n\r\n")
        await wire.written.wait()
        assert wire.pieces == [b"HTTP/1.1 100 Continue\r\n\r\n"]
        protocol.data_received(b"{}")
        await wire.closed.wait()
        return wire.pieces

    assert run(test)[1].startswith(b"HTTP/1.1 200 OK")


def test_two_answers_on_one_connection_are_two_pieces() -> None:
    app = answering(head(**{"content-length": "1"}), BODY | {"body": b"x"})
    pieces = run(lambda: exchange(app, POST + b"\r\n{}" + POST + CLOSE))
    assert [piece.count(b"HTTP/1.1 200") for piece in pieces] == [1, 1]


def test_words_that_are_no_request_are_refused_aloud() -> None:
    pieces = run(lambda: exchange(answering(), b"nonsense\r\n\r\n"))
    assert pieces[0].startswith(b"HTTP/1.1 400")
