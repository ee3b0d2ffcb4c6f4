"""Waiting for a socket: in this thread, or on its event loop while others work.

The same code is run either way: a coroutine that is given one of the two.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE_S = 30.0

Wait = Callable[[int, int], Awaitable[bool]]
"""Waits until a socket is ready for events of `select.poll`; says whether something came in.

Raises TimeoutError if nothing happens for `PATIENCE_S`."""


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits in this thread only, to its end.

    Example:
        >>> async def answer() -> int:
        ...     return 42
        >>> at_once(answer())
        42
    """
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("expected a coroutine that waits in this thread, got one for a loop")


async def wait_here(socket: int, events: int) -> bool:
    """Wait in this thread."""
    poll = select.poll()
    poll.register(socket, events)
    ready = poll.poll(PATIENCE_S * 1_000)
    if not ready:
        raise TimeoutError
    return bool(ready[0][1] & ~select.POLLOUT)


async def wait_on_loop(socket: int, events: int) -> bool:
    """Wait on the running event loop; for reading, at least."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[bool] = loop.create_future()
    late = loop.call_later(PATIENCE_S, _give_up, ready)
    loop.add_reader(socket, _tell, ready, True)
    if events & select.POLLOUT:
        loop.add_writer(socket, _tell, ready, False)
    try:
        return await ready
    finally:
        late.cancel()
        loop.remove_reader(socket)
        loop.remove_writer(socket)


def _tell(ready: asyncio.Future[bool], came: bool) -> None:
    if not ready.done():
        ready.set_result(came)


def _give_up(ready: asyncio.Future[bool]) -> None:
    if not ready.done():
        ready.set_exception(TimeoutError())
