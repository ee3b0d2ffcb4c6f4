"""A small HTTP client of the decision server, patient with interruptions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

import aiohttp
import orjson

from agents.context import FeatureValue
from agents.decisions import OutcomeEvent
from agents.errors import StateError

TRIES = 5
FIRST_PAUSE_S = 0.2

_JSON = "application/json"
_PROBLEM = "application/problem+json"
_BUSY = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)


class Server:
    """The routes that a simulation needs.

    A lost connection, a server that cannot answer now (502, 503, 504) and a 404 that does not
    come from the application (no replica has the route yet) are tried again, with the same body
    and the same idempotency key, at most `TRIES` times with pauses that double.

    Args:
        session: an open HTTP session.
        url: of the server, such as `http://127.0.0.1:8000`.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    async def decide(
        self,
        key: str,
        *,
        agent: str,
        customer: str,
        features: Mapping[str, FeatureValue],
        at: datetime,
        placement: str = "",
    ) -> dict[str, Any]:
        """Ask for one decision; the same key gives the same decision.

        Raises:
            StateError: the server does not answer, or refuses.
        """
        body = {
            "agent": agent,
            "customer": customer,
            "features": dict(features),
            "at": at.isoformat(),
            **({"placement": placement} if placement else {}),
        }
        return await self._post("/v1/decisions", body, {"Idempotency-Key": key})

    async def record(self, event: OutcomeEvent) -> dict[str, Any]:
        """Send one outcome; the same outcome id is recorded once.

        Raises:
            StateError: the server does not answer, or refuses.
        """
        record = event.to_record()
        if not event.properties:
            del record["properties"]
        named = "customer" if event.decision_id else "decision_id"
        del record[named]  # a report names one of the two
        return await self._post("/v1/outcomes", record, {})

    async def _post(
        self, path: str, body: Mapping[str, object], headers: Mapping[str, str]
    ) -> dict[str, Any]:
        data = orjson.dumps(body)
        failure = ""
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
            try:
                status, kind, content = await self._send(path, data, headers)
            except (aiohttp.ClientError, TimeoutError) as error:
                failure = f"{type(error).__name__}: {error}"
                continue
            if status == HTTPStatus.OK:
                answer: dict[str, Any] = orjson.loads(content)
                return answer
            failure = f"{status}: {content.decode(errors='replace')[:500]}"
            if not _passing(status, kind):
                raise StateError(f"the server refused POST {path} with {failure}")
        raise StateError(
            f"the server at {self._url} did not answer POST {path} in {TRIES} tries;"
            f" is it running? The last answer was {failure}"
        )

    async def _send(
        self, path: str, data: bytes, headers: Mapping[str, str]
    ) -> tuple[int, str, bytes]:
        """Return the answer's status, content type and body."""
        sent = {"Content-Type": _JSON, **headers}
        async with self._session.post(f"{self._url}{path}", data=data, headers=sent) as response:
            return response.status, response.content_type, await response.read()


def _passing(status: int, kind: str) -> bool:
    """Say whether a refusal may be over in a moment."""
    if status == HTTPStatus.NOT_FOUND:
        return kind != _PROBLEM
    return status in _BUSY
