"""The gate in front of every route: who is it, may they, and is it not too much?

A plain ASGI middleware. All that it knows is in memory, so it costs a few microseconds.
"""

from __future__ import annotations

import logging
import math
import time
from typing import NamedTuple

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api.problems import problem
from serving.security.hosts import Hosts, is_loopback
from serving.security.keyring import Bucket, Held, Keyring
from serving.security.principal import PLACE, STRANGER, anyone
from serving.security.scopes import TABLE, UNLISTED, Rule, Scopes
from serving.settings import Settings

logger = logging.getLogger("nextbest")

MOST_HEADERS = 64
MOST_HEADER_BYTES = 16 * 1024

_FAILURES = 10.0  # a second, after a first 100
_BEARER = b"bearer "
_KEY_HEADERS = frozenset({b"x-api-key", b"ocp-apim-subscription-key"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({b"", b"same-origin", b"none"})


class _Seen(NamedTuple):
    """What the headers of a request say.

    Args:
        tokens: the keys that are presented.
        hosts: the names by which the server is called.
        length: the largest size of the body that is announced, 0 if none is.
        size: bytes of all headers.
        origins: the sites whose pages ask, as browsers say; `null` for one that hides it.
        site: how far such a page is from here, empty if nobody says so.
    """

    tokens: tuple[bytes, ...]
    hosts: tuple[bytes, ...]
    length: int
    size: int
    origins: tuple[bytes, ...]
    site: bytes


def _look(headers: list[tuple[bytes, bytes]]) -> _Seen:
    tokens: tuple[bytes, ...] = ()
    hosts: tuple[bytes, ...] = ()
    origins: tuple[bytes, ...] = ()
    length = size = 0
    site = b""
    for name, value in headers:
        size += len(name) + len(value)
        if name == b"host":
            hosts += (value,)
        elif name == b"authorization":
            bearer = value[:7].lower() == _BEARER
            tokens += (value[7:].strip() if bearer else b"",)
        elif name in _KEY_HEADERS:
            tokens += (value,)
        elif name == b"content-length" and value.isdigit():
            length = max(length, int(value))
        elif name == b"origin":
            origins += (value,)
        elif name == b"sec-fetch-site":
            site = value
    return _Seen(tokens, hosts, length, size, origins, site)


def _from_elsewhere(seen: _Seen) -> bool:
    """Whether a page that is not the server's own made a browser ask.

    A page of any site may make a browser on this machine post to us, without a body or with one
    that it calls text. It cannot keep the browser from saying whose page it is.
    """
    return seen.site not in _OWN_SITE or any(
        origin.partition(b"://")[2] not in seen.hosts for origin in seen.origins
    )


class Door:
    """Decides who gets in.

    Args:
        settings: of the server.
    """

    def __init__(self, settings: Settings) -> None:
        self.keyring = Keyring()
        self.asks = settings.auth == "keys"
        self._open = {"open", "docs"} if is_loopback(settings.host) else {"open"}
        self._hosts = Hosts(settings.host)
        self._scopes = Scopes(TABLE)
        self._anyone = anyone("")
        self._failures = Bucket(_FAILURES, 10.0 * _FAILURES)

    def refusal(self, scope: Scope) -> Response | None:
        """Return the answer to a request that is not let in; None if it is.

        Who is let in stands in the ASGI scope from then on.
        """
        rule = self._scopes.rule(scope["method"], scope["path"])
        headers = scope["headers"]
        seen = _look(headers)
        if len(headers) > MOST_HEADERS or seen.size > MOST_HEADER_BYTES:
            detail = f"expected at most {MOST_HEADERS} headers of {MOST_HEADER_BYTES:,} bytes"
            return problem(431, "The headers are too large", f"{detail} in all")
        if seen.length > rule.most:
            detail = f"expected a body of at most {rule.most:,} bytes"
            return problem(413, "The body cannot be accepted", detail)
        return self._by_key(scope, rule, seen) if self.asks else self._by_host(scope, seen)

    def _by_host(self, scope: Scope, seen: _Seen) -> Response | None:
        if len(seen.hosts) != 1 or not self._hosts.fits(seen.hosts[0]):
            detail = "expected a Host header that names this machine, as localhost; without keys"
            return problem(
                421, "The request is for another host", f"{detail} the server answers to no other"
            )
        if scope["method"] not in _READING and _from_elsewhere(seen):
            detail = "expected a request that no other site's page has made; use API keys for those"
            return problem(403, "The request comes from another site", detail)
        scope[PLACE] = self._anyone
        return None

    def _by_key(self, scope: Scope, rule: Rule, seen: _Seen) -> Response | None:
        if not seen.tokens and rule.access in self._open:
            scope[PLACE] = STRANGER
            return None
        held = self.keyring.find(seen.tokens[0]) if len(seen.tokens) == 1 else None
        now = time.monotonic()
        if held is None or held.ends <= time.time():
            return self._unknown(seen, held, now)
        wait_s = held.bucket.take(now)
        if wait_s > 0.0:
            return _too_many("Too many requests with this key", wait_s)
        principal = held.principal
        if rule.access not in principal.scopes and rule.access not in {"open", "docs"}:
            return problem(403, "The key may not do this", _lacking(rule, principal.scopes))
        scope[PLACE] = principal
        return None

    def _unknown(self, seen: _Seen, held: Held | None, now: float) -> Response:
        wait_s = self._failures.take(now)
        if wait_s > 0.0:
            return _too_many("Too many requests without a valid key", wait_s)
        challenge = 'Bearer realm="nextbest"'
        if not seen.tokens:
            detail = (
                "expected an API key: 'Authorization: Bearer nb_...', X-API-Key or"
                " Ocp-Apim-Subscription-Key"
            )
        elif len(seen.tokens) > 1:
            detail = f"expected one API key, got {len(seen.tokens)}"
        elif held is not None:
            detail = "the API key has expired or was revoked; ask an admin for another"
            challenge += ', error="invalid_token"'
            logger.warning("key %s was refused: it has ended", held.principal.key_id)
        else:
            detail = "there is no such API key"
            challenge += ', error="invalid_token"'
            logger.warning("an API key that does not exist was refused")
        return problem(401, "No valid API key", detail, headers={"WWW-Authenticate": challenge})


def _lacking(rule: Rule, scopes: frozenset[str]) -> str:
    """Say what a key lacks, or that the way is wrong: strangers are not told which routes are."""
    needed = f"expected a key with the scope {rule.access!r}"
    if rule is UNLISTED:
        needed = f"expected a route of /openapi.json, or {needed.removeprefix('expected ')}"
    return f"{needed}, got one with {', '.join(sorted(scopes)) or 'none'}"


def _too_many(title: str, wait_s: float) -> Response:
    seconds = max(1, math.ceil(wait_s))
    detail = f"expected fewer requests; come again in {seconds} s"
    return problem(429, title, detail, headers={"Retry-After": str(seconds)})


class Gate:
    """Lets requests through to an application, or answers them itself.

    Args:
        app: what is behind the gate.
        door: decides.
    """

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or refuse it."""
        if scope["type"] == "http":
            refusal = self._door.refusal(scope)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        elif scope["type"] != "lifespan":  # there is no route of any other kind
            await send({"type": "websocket.close", "code": 1008})
            return
        await self._app(scope, receive, send)
