"""The load: plain sockets on one event loop (uvloop where it is), requests made beforehand.

`closed` keeps a number of connections busy, each asking again once it is answered. `paced` sends at
a fixed rate, however fast the answers come. It costs some 40 us of this process a request, which
the tables show beside the server's own.
"""

from __future__ import annotations

import asyncio
import statistics
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeVar, cast

T = TypeVar("T")

_TICK_S = 0.0005
_PATIENCE_S = 20.0


@dataclass(slots=True)
class Turn:
    """What came back.

    Args:
        latencies_ms: of each answer that was no refusal, from sending to the last byte.
        bodies: of these answers, if they were to be kept.
        refused: how many were answered 503 with `Retry-After`.
        sent, seconds: how many were sent, and from the first to the last answer.
    """

    latencies_ms: list[float] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    refused: int = 0
    sent: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answers per second, refusals not counted."""
        return len(self.latencies_ms) / self.seconds

    def percentile(self, share: float) -> float:
        """Return a percentile of the latencies, in ms."""
        return statistics.quantiles(self.latencies_ms, n=1_000)[round(share * 1_000) - 1]


Answered = Callable[["_Line", int, bytes, bytes], None]


class _Line(asyncio.Protocol):
    """One connection: asks, and hands on each whole answer."""

    def __init__(self, answered: Answered, lost: Callable[[], None]) -> None:
        self._answered, self._lost = answered, lost
        self._buffer = b""
        self.began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take up the connection."""
        self._transport = cast("asyncio.Transport", transport)  # which uvloop's is in all but name

    def ask(self, request: bytes) -> None:
        """Send a request; nothing else is under way on this connection."""
        self.began = perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Collect an answer until it is whole."""
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        head = head.lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(body) >= length:
            self._buffer = b""
            self._answered(self, int(head[9:12]), head, body)

    def connection_lost(self, _error: Exception | None) -> None:
        """Say so."""
        self._lost()

    def close(self) -> None:
        """Hang up."""
        self._lost = _nothing
        self._transport.close()


def _nothing() -> None:
    """Do nothing."""


class _Load:
    """Connections to one server, and what came back over them."""

    def __init__(self, port: int, heard: Callable[[bytes], None] | None, refusable: bool) -> None:
        self.turn = Turn()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.free: Callable[[_Line], None] = _Line.close
        self._port, self._heard, self._refusable = port, heard, refusable
        self._tasks: set[asyncio.Task[_Line]] = set()
        self._lines: set[_Line] = set()

    async def connect(self) -> _Line:
        """Open one more connection."""
        loop = asyncio.get_running_loop()
        _, line = await loop.create_connection(
            lambda: _Line(self._answered, lambda: self._fail("the connection was cut")),
            "127.0.0.1",
            self._port,
        )
        self._lines.add(line)
        return line

    def close(self) -> None:
        """Hang up everywhere."""
        for task in self._tasks:
            task.cancel()
        for line in self._lines:
            line.close()

    def _fail(self, why: str) -> None:
        if not self.ended.done():
            self.ended.set_exception(RuntimeError(why))

    def _answered(self, line: _Line, status: int, head: bytes, body: bytes) -> None:
        if status in {200, 201, 202}:
            self.turn.latencies_ms.append(1_000 * (perf_counter() - line.began))
            if self._heard is not None:
                self._heard(body)
        elif status == 503 and self._refusable and b"retry-after:" in head:
            self.turn.refused += 1
        else:
            self._fail(f"expected 200, 201 or 202, got {status}: {body[:300]!r}")
        if b"connection: close" in head:  # HAProxy hands over to a new process
            line.close()
            self._lines.discard(line)
            task = asyncio.get_running_loop().create_task(self.connect())
            self._tasks.add(task)
            task.add_done_callback(self._replaced)
        else:
            self.free(line)

    def _replaced(self, task: asyncio.Task[_Line]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self.free(task.result())
        else:
            self._fail(f"expected to connect again, got: {error}")


async def closed(port: int, requests: Iterable[bytes], connections: int, seconds: float) -> Turn:
    """Keep each connection busy until the time is up or all is asked.

    Raises:
        RuntimeError: an answer is none of 200, 201 and 202, or a connection is cut.
    """
    load = _Load(port, None, refusable=False)
    lines = [await load.connect() for _ in range(connections)]
    waiting, left, begun = iter(requests), connections, perf_counter()

    def free(line: _Line) -> None:
        nonlocal left
        request = next(waiting, None) if perf_counter() - begun < seconds else None
        if request is not None:
            load.turn.sent += 1
            line.ask(request)
            return
        line.close()
        left -= 1
        if not left and not load.ended.done():
            load.ended.set_result(None)

    load.free = free
    for line in lines:
        free(line)
    try:
        await asyncio.wait_for(load.ended, seconds + _PATIENCE_S)
    finally:
        load.close()
    load.turn.seconds = perf_counter() - begun
    return load.turn


async def paced(
    port: int,
    requests: Iterator[bytes],
    rate: float,
    seconds: float,
    connections: int,
    heard: Callable[[bytes], None] | None = None,
) -> Turn:
    """Send at a fixed rate over whichever connection is free; refusals are counted.

    Raises:
        RuntimeError: an answer is neither good nor a refusal with `Retry-After`, or a connection
            is cut.
    """
    load = _Load(port, heard, refusable=True)
    lines = deque([await load.connect() for _ in range(connections)])
    load.free, turn, begun = lines.append, load.turn, perf_counter()
    while (now := perf_counter() - begun) < seconds and not load.ended.done():
        due = min(int(now * rate) - turn.sent, len(lines))
        for _ in range(due):
            turn.sent += 1
            lines.popleft().ask(next(requests))  # in turn: one idle for long would be cut
        await asyncio.sleep(_TICK_S)
    while len(lines) < connections and not load.ended.done():
        await asyncio.sleep(_TICK_S)
    turn.seconds = perf_counter() - begun
    load.close()
    if load.ended.done():
        load.ended.result()  # raises what went wrong
    return turn


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the fastest loop there is."""
    try:
        from uvloop import new_event_loop
    except ImportError:  # as on Windows
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)
