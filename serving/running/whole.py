"""Answers written whole: the head of each goes out with the beginning of its body.

uvicorn writes them one after the other, and each write is a call of the kernel, a packet, and a
reader that wakes up. Who reads is a proxy on the same machine, on which the time is missing.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD, _GO_ON = b"HTTP/1.", b"HTTP/1.1 100"


class _Held:
    """A transport that keeps the head of an answer back until what follows it is written."""

    __slots__ = ("_due", "_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._head, self._due = transport, b"", True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write, unless it is a head that something will follow."""
        if self._due and data.startswith(_HEAD) and not data.startswith(_GO_ON):
            self._head, self._due = data, False
        else:
            head, self._head = self._head, b""
            self._transport.write(head + data)

    def flush(self) -> None:
        """Write what is kept back; the next answer has a head of its own."""
        if self._head:
            self.write(b"")
        self._due = True

    def close(self) -> None:
        """Close, once all is written."""
        self.flush()
        self._transport.close()


class WholeProtocol(HttpToolsProtocol):
    """uvicorn's protocol on such a transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """Take up a connection."""
        self._held = _Held(transport)
        super().connection_made(cast("asyncio.Transport", self._held))

    def on_response_complete(self) -> None:
        """End an answer, whether or not it had a body."""
        self._held.flush()
        super().on_response_complete()
