"""A small HTTP client of the decision server, patient with interruptions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx

from agents.context import FeatureValue
from agents.decisions import OutcomeEvent
from agents.errors import StateError

TRIES = 5
FIRST_PAUSE_S = 0.2

_PROBLEM = "application/problem+json"
_BUSY = (httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.GATEWAY_TIMEOUT)


class Server:
    """The routes that a simulation needs.

    A lost connection, a server that cannot answer now (502, 503, 504) and a 404 that does not
    come from the application (no replica has the route yet) are tried again, with the same body
    and the same idempotency key, at most `TRIES` times with pauses that double.

    Args:
        client: with the server's base URL.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def decide(
        self,
        key: str,
        *,
        agent: str,
        customer: str,
        features: Mapping[str, FeatureValue],
        at: datetime,
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
        }
        return await self._post("/v1/decisions", body, {"Idempotency-Key": key})

    async def record(self, event: OutcomeEvent) -> dict[str, Any]:
        """Send one outcome; the same outcome id is recorded once.

        Raises:
            StateError: the server does not answer, or refuses.
        """
        return await self._post("/v1/outcomes", event.to_record(), {})

    async def _post(
        self, path: str, body: Mapping[str, object], headers: Mapping[str, str]
    ) -> dict[str, Any]:
        failure = ""
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
            try:
                response = await self._client.post(path, json=body, headers=headers)
            except httpx.TransportError as error:
                failure = f"{type(error).__name__}: {error}"
                continue
            if response.status_code == httpx.codes.OK:
                answer: dict[str, Any] = response.json()
                return answer
            failure = f"{response.status_code}: {response.text[:500]}"
            if not _passing(response):
                raise StateError(f"the server refused POST {path} with {failure}")
        raise StateError(
            f"the server at {self._client.base_url} did not answer POST {path} in {TRIES} tries;"
            f" is it running? The last answer was {failure}"
        )


def _passing(response: httpx.Response) -> bool:
    """Say whether a refusal may be over in a moment."""
    if response.status_code == httpx.codes.NOT_FOUND:
        return not response.headers.get("content-type", "").startswith(_PROBLEM)
    return response.status_code in _BUSY
