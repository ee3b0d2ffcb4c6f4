"""The answer of a busy route: JSON that is there already, with no header but what it needs."""

from __future__ import annotations

from starlette.responses import Response

_TYPE = (b"content-type", b"application/json")


class Reply(Response):
    """JSON bytes as a response, the same as `Response` makes of them, at a fraction of its cost.

    Args:
        body: JSON.
        status: of HTTP.
        headers: more of them, names in lower case.

    Example:
        >>> Reply(b"{}", headers=((b"age", b"1"),)).headers["content-length"]
        '2'
    """

    def __init__(
        self, body: bytes, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        self.status_code, self.body, self.background = status, body, None
        self.raw_headers = [*headers, (b"content-length", b"%d" % len(body)), _TYPE]
