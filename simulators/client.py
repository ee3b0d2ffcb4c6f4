"""A small HTTP client of the decision server, patient with interruptions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

_LONGEST_PAUSE_S = 1.6
_JSON = "application/json"
_PROBLEM = "application/problem+json"
_BUSY = (
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
_GOOD = (HTTPStatus.OK, HTTPStatus.ACCEPTED)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about one customer.

    Args:
        key: idempotency key; the same key gives the same decision.
        customer: their id.
        features: what the company knows of them.
        placement: the slot that is to be filled, empty if none.
    """

    key: str
    customer: str
    features: Mapping[str, FeatureValue]
    placement: str = ""

    def to_record(self) -> dict[str, object]:
        """Return it as plain values, without the key."""
        slot = {"placement": self.placement} if self.placement else {}
        return {"customer": self.customer, "features": dict(self.features), **slot}


class Server:
    """The routes that a simulation needs.

    A lost connection, a server that cannot answer now (429, 502, 503, 504) and a 404 that does not
    come from the application (no replica has the route yet) are tried again, with the same body
    and the same idempotency key, at most `tries` times with pauses that double up to 1.6 seconds.

    Args:
        session: an open HTTP session.
        url: of the server, such as `http://127.0.0.1:8000`.
        tries: how often one request is sent at most, at least 1; `TRIES` if None.

    Attributes:
        again: requests that were sent again so far.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, tries: int | None = None) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._tries = TRIES if tries is None else tries
        self.again = 0

    async def decide(self, question: Question, *, agent: str, at: datetime) -> dict[str, Any]:
        """Ask for one decision; the same key gives the same decision.

        Raises:
            StateError: the server does not answer, or refuses.
        """
        body = {"agent": agent, "at": at.isoformat(), **question.to_record()}
        headers = {"Idempotency-Key": question.key}
        answer: dict[str, Any] = orjson.loads(await self._post("/v1/decisions", body, headers))
        return answer

    async def decide_many(
        self, questions: Sequence[Question], *, agent: str, at: datetime
    ) -> list[dict[str, Any]]:
        """Ask for decisions about many customers in one request; one answer each, in order.

        Raises:
            StateError: the server does not answer, or refuses any of them.
        """
        lines = [{"key": each.key, **each.to_record()} for each in questions]
        body = {"agent": agent, "at": at.isoformat(), "decisions": lines}
        content = await self._post("/v1/decisions/batch", body, {})
        answers: list[dict[str, Any]] = [orjson.loads(line) for line in content.splitlines()]
        refused = [answer for answer in answers if "decision_id" not in answer]
        if refused or len(answers) != len(questions):
            raise StateError(
                f"expected {len(questions):,} decisions of POST /v1/decisions/batch, got"
                f" {len(answers) - len(refused):,} of {len(answers):,} lines;"
                f" {_problems(refused)}"
            )
        return answers

    async def record(self, event: OutcomeEvent) -> dict[str, Any]:
        """Send one outcome; the same outcome id is recorded once.

        Raises:
            StateError: the server does not answer, or refuses.
        """
        content = await self._post("/v1/outcomes", _report(event), {})
        answer: dict[str, Any] = orjson.loads(content)
        return answer

    async def record_many(self, events: Sequence[OutcomeEvent]) -> None:
        """Send up to 1,000 outcomes in one request; the same outcome id is recorded once.

        Raises:
            StateError: the server does not answer, or refuses any of them.
        """
        body = {"outcomes": [_report(event) for event in events]}
        answer = orjson.loads(await self._post("/v1/outcomes/batch", body, {}))
        refused = [each["problem"] for each in answer["outcomes"] if each["status"] not in _GOOD]
        if refused:
            raise StateError(
                f"the server refused {len(refused):,} of {len(events):,} outcomes;"
                f" {_problems(refused)}"
            )

    async def _post(
        self, path: str, body: Mapping[str, object], headers: Mapping[str, str]
    ) -> bytes:
        data = orjson.dumps(body)
        failure = ""
        for attempt in range(self._tries):
            if attempt:
                self.again += 1
                await asyncio.sleep(min(FIRST_PAUSE_S * 2 ** (attempt - 1), _LONGEST_PAUSE_S))
            try:
                status, kind, content = await self._send(path, data, headers)
            except (aiohttp.ClientError, TimeoutError) as error:
                failure = f"{type(error).__name__}: {error}"
                continue
            if status in _GOOD:
                return content
            failure = f"{status}: {content.decode(errors='replace')[:500]}"
            if not _passing(status, kind):
                raise StateError(f"the server refused POST {path} with {failure}")
        raise StateError(
            f"the server at {self._url} did not answer POST {path} in {self._tries} tries;"
            f" is it running? The last answer was {failure}"
        )

    async def _send(
        self, path: str, data: bytes, headers: Mapping[str, str]
    ) -> tuple[int, str, bytes]:
        """Return the answer's status, content type and body."""
        sent = {"Content-Type": _JSON, **headers}
        async with self._session.post(f"{self._url}{path}", data=data, headers=sent) as response:
            return response.status, response.content_type, await response.read()


def _report(event: OutcomeEvent) -> dict[str, Any]:
    record = event.to_record()
    if not event.properties:
        del record["properties"]
    named = "customer" if event.decision_id else "decision_id"
    del record[named]  # a report names one of the two
    return record


def _problems(refused: Sequence[Mapping[str, Any]]) -> str:
    """Say what is wrong with the first of them, without what it is about."""
    if not refused:
        return "was the connection cut?"
    return f"the first problem was {refused[0].get('title')}: {refused[0].get('detail')}"


def _passing(status: int, kind: str) -> bool:
    """Say whether a refusal may be over in a moment."""
    if status == HTTPStatus.NOT_FOUND:
        return kind != _PROBLEM
    return status in _BUSY
