"""Request bodies read strictly: bounded in size, no duplicate keys, no NaN or infinity."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from serving.security.scopes import LARGE

MAX_BODY = 64 * 1024

_DIGITS = bytes(48 if chr(code).isdecimal() else 32 for code in range(128)) + b" " * 128
_LONG = b"0" * 19
_BEFORE = b":,[- \t\r\n"  # what may stand before a number
_UNSURE = object()


class BodyError(HTTPException):
    """A request body cannot be accepted, for its size or its content.

    An HTTPException, since FastAPI hides every other error that reading a body raises.
    """

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(status, message)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise BodyError(f"the key {twice!r} stands in the body a second time")
    return values


def _refuse_constant(name: str) -> Any:
    raise BodyError(f"expected finite numbers, got {name}")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BodyError(f"expected finite numbers, got {text[:40]}")
    return value


def _bounded_int(text: str) -> int:
    if len(text) > 19:
        raise BodyError(f"expected whole numbers of at most 18 digits, got {len(text)} characters")
    return int(text)


def parse_json(body: bytes) -> Any:
    """Read JSON strictly.

    Raises:
        BodyError: it is not UTF-8 JSON, or has a duplicate key, NaN, infinity, a lone surrogate
            or a very large number, or nests deeper than 254 levels.

    Example:
        >>> parse_json(b'{"a": 1}')
        {'a': 1}
    """
    value = _read_plain(body)
    return _read_any(body) if value is _UNSURE else value


def _read_plain(body: bytes) -> Any:
    """Read what holds no escape and no long row of digits; for anything odd, say `_UNSURE`.

    orjson refuses by itself what is no UTF-8, NaN and infinity, but keeps the last of two equal
    keys and makes a float of a whole number that is too long. Without escapes every quote begins
    or ends a text, so a key that was dropped shows by the number of quotes.
    """
    if b"\\" in body or _has_long_number(body):
        return _UNSURE
    try:
        value = orjson.loads(body)
        whole = orjson.dumps(value).count(b'"') == body.count(b'"')
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return _UNSURE
    return value if whole else _UNSURE


def _has_long_number(body: bytes) -> bool:
    """Say whether a number may begin with 19 digits; those of fractions and names do not count."""
    digits = body.translate(_DIGITS)
    at = digits.find(_LONG)
    while at >= 0:
        if body[max(at - 1, 0)] in _BEFORE or at == 0:
            return True
        at = digits.find(_LONG, digits.find(b" ", at))
    return False


def _read_any(body: bytes) -> Any:
    """Read anything, and say in words what is wrong with it."""
    try:
        value = json.loads(
            body,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_bounded_int,
            parse_float=_finite,
        )
        orjson.dumps(value)  # refuses what UTF-8 cannot carry, and what nests too deep
    except (ValueError, RecursionError, orjson.JSONEncodeError) as error:
        raise BodyError(f"expected a JSON body: {error}", status=400) from error
    return value


class StrictRequest(Request):
    """A request whose body is bounded and whose JSON is read strictly."""

    most: ClassVar[int] = MAX_BODY

    async def body(self) -> bytes:
        """Return the body, at most `most` bytes however it is sent."""
        if not hasattr(self, "_body"):
            chunks, size = [], 0
            async for chunk in self.stream():
                size += len(chunk)
                if size > self.most:
                    raise BodyError(f"expected a body of at most {self.most:,} bytes", status=413)
                chunks.append(chunk)
            self._body = b"".join(chunks)
        return self._body

    async def json(self) -> Any:
        """Return the body as strictly read JSON."""
        return parse_json(await self.body())

    def check_encoding(self) -> None:
        """Refuse a body that is not JSON by its own account, or compressed.

        Raises:
            BodyError: another content type, or any content encoding.
        """
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if self.method == "POST" and kind != "application/json":
            raise BodyError(
                f"expected 'Content-Type: application/json', got {kind[:40]!r}", status=415
            )
        encoding = self.headers.get("content-encoding", "identity").lower()
        if encoding != "identity":
            raise BodyError(f"expected a plain body, got encoding {encoding[:40]!r}", status=415)


class LargeRequest(StrictRequest):
    """A request that carries many things at once."""

    most = LARGE


class StrictRoute(APIRoute):
    """A route that reads every request strictly."""

    reads: ClassVar[type[StrictRequest]] = StrictRequest

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler so that it sees a `StrictRequest`."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            strict_request = self.reads(request.scope, request.receive)
            strict_request.check_encoding()
            return await handler(strict_request)

        return strict


class LargeRoute(StrictRoute):
    """A route that reads many things at once, strictly."""

    reads = LargeRequest


def fingerprint(*parts: object) -> bytes:
    """Return a digest of a request, the same for the same content in any order of keys.

    Example:
        >>> fingerprint({"a": 1, "b": 2.0}) == fingerprint({"b": 2e0, "a": 1})
        True
    """
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).digest()
