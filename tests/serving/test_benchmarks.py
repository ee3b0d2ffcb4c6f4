"""The load of the benchmarks, against a server that answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import repeat

import pytest

from serving.benchmarks.load import Turn, closed, paced, run
from serving.benchmarks.questions import EMPTY, Customers, post

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
BUSY = b"HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"
BARE_503 = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"
LAST = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"
WRONG = b"HTTP/1.1 422 No\r\ncontent-length: 3\r\n\r\nno!"

Answer = Callable[[int], bytes]


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[int]:
    """Answer the n-th request of all connections by `answer(n)`; empty cuts the connection."""
    asked = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while head := await reader.read(65_536):
            assert head.startswith(b"POST ")
            asked += 1
            reply = answer(asked)
            writer.write(reply[:20])  # an answer may come in parts
            await writer.drain()
            writer.write(reply[20:])
            if not reply or b"close" in reply:
                break
        writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


def ask_closed(answer: Answer, count: int) -> Turn:
    async def work() -> Turn:
        async with server(answer) as port:
            return await closed(port, repeat(EMPTY, count), connections=3, seconds=20.0)

    return run(work())


def ask_paced(answer: Answer, rate: float, seconds: float) -> tuple[Turn, list[bytes]]:
    heard: list[bytes] = []

    async def work() -> Turn:
        async with server(answer) as port:
            return await paced(port, repeat(EMPTY), rate, seconds, 4, heard.append)

    return run(work()), heard


def test_each_request_is_sent_once_and_each_answer_is_timed() -> None:
    turn = ask_closed(lambda _: OK, 50)
    assert turn.sent == len(turn.latencies_ms) == 50
    assert turn.rate == pytest.approx(50 / turn.seconds)
    assert 0 < turn.percentile(0.5) <= turn.percentile(0.99)


def test_a_connection_that_the_server_ends_is_replaced() -> None:
    turn = ask_closed(lambda number: LAST if number % 5 == 0 else OK, 40)
    assert len(turn.latencies_ms) == 40


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (WRONG, "expected 200, 201 or 202, got 422: b'no!'"),
        (BUSY, "got 503"),
        (b"", "the connection was cut"),
    ],
)
def test_anything_but_an_answer_ends_the_measurement(answer: bytes, told: str) -> None:
    with pytest.raises(RuntimeError, match=told):
        ask_closed(lambda number: answer if number == 7 else OK, 30)


def test_refusals_are_counted_apart_and_never_timed() -> None:
    turn, heard = ask_paced(lambda number: BUSY if number % 2 else OK, rate=400.0, seconds=0.25)
    assert turn.sent == turn.refused + len(turn.latencies_ms)
    assert abs(turn.refused - len(turn.latencies_ms)) <= 1
    assert heard == [b"{}"] * len(turn.latencies_ms)
    assert turn.sent <= 100


def test_a_refusal_must_say_when_to_come_again() -> None:
    with pytest.raises(RuntimeError, match="got 503"):
        ask_paced(lambda _: BARE_503, rate=100.0, seconds=0.2)


def test_customers_are_the_same_with_each_prefix_and_half_of_them_come_back() -> None:
    one, two = Customers("one").lines(8_000), Customers("two").lines(8_000)
    assert [line["features"] for line in one] == [line["features"] for line in two]
    assert not {line["key"] for line in one} & {line["key"] for line in two}
    back = [line["customer"] for line in one if line["customer"].startswith("back-")]
    assert len(back) == 4_000
    assert len(set(back)) == 2_000


def test_a_request_is_whole() -> None:
    head, _, body = post("/v1/outcomes", b'{"a": 1}', key="k").partition(b"\r\n\r\n")
    assert b"Content-Length: 8" in head
    assert b"Idempotency-Key: k" in head
    assert body == b'{"a": 1}'
