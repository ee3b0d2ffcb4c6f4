"""What hostile or hasty callers send: the ends of calendars, wrong ways, texts in odd places."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.catalog import write_example
from agents.errors import ContextError
from serving.clock import DrivenClock
from serving.settings import Settings

ServeSettings = Callable[[Settings], AbstractContextManager[httpx.Client]]
AT = "2026-03-02T09:00:00+00:00"


def test_an_instant_that_cannot_be_read_again_is_never_stored(
    serve_settings: ServeSettings, tmp_path: Path
) -> None:
    write_example("streaming", tmp_path / "streaming")
    with serve_settings(Settings(tmp_path / "streaming", tmp_path / "data")) as client:
        for number, (text, status) in enumerate([
            ("2999-12-31T23:59:59-12:00", 422), ("1900-01-01T00:00:00+12:00", 422),
            ("2999-12-31T23:59:59+12:00", 200), ("1900-01-01T00:00:00-12:00", 200),
        ]):  # fmt: skip
            body: dict[str, Any] = {"agent": "subscription", "customer": f"c{number}"}
            body |= {"features": {"trial_ends": text}}
            made = client.post("/v1/decisions", json=body)
            assert made.status_code == status, text
            if status == 200:
                found = client.get(f"/v1/decisions/{made.json()['decision_id']}")
                assert found.json()["replay"]["verdict"] == "same"


def test_a_driven_clock_leaves_room_for_windows_before_the_last_year() -> None:
    clock = DrivenClock()
    assert clock.now(datetime(2988, 12, 31, tzinfo=UTC)).year == 2988
    with pytest.raises(ContextError, match="expected a year up to 2988, got 2989"):
        clock.now(datetime(2989, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("path", ["/v1/decisions/", "/v1/agents/", "/v2/agents", "//v1/agents"])
def test_a_wrong_way_is_404_and_leads_nowhere_else(steady: httpx.Client, path: str) -> None:
    told = steady.get(f"{str(steady.base_url).rstrip('/')}{path}", headers={"Host": "localhost"})
    assert told.status_code == 404
    assert "location" not in told.headers
    assert told.json()["detail"].startswith("there is no such route; /openapi.json has all")


def test_what_is_wrong_with_a_body_is_said_without_a_preamble(steady: httpx.Client) -> None:
    body: dict[str, Any] = {"customer": "ann", "at": AT}
    told = steady.post("/v1/decisions", json=body).json()
    assert told["detail"] == "body: expected 'agent' or 'agents', one of them"


@pytest.mark.parametrize("text", ["\\u0000", "a\\u0000b", "\\ud800", "x\\udfff"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/decisions", '{"agent": "retention", "customer": "@"}'),
        ("/v1/decisions", '{"agent": "retention", "customer": "a", "features": {"plan": "@"}}'),
        ("/v1/decisions", '{"agent": "retention", "customer": "a", "features": {"@": 1}}'),
        ("/v1/decisions/batch", '{"agent": "retention", "decisions": [{"customer": "@"}]}'),
        ("/v1/outcomes", '{"outcome_id": "@", "customer": "a", "outcome": "renewed"}'),
        ("/v1/outcomes", '{"outcome_id": "a", "decision_id": "@", "outcome": "renewed"}'),
        ("/v1/outcomes", '{"outcome_id": "a", "adjusts": "@", "retract": true}'),
        ("/v1/contacts", '{"contact_id": "@", "customer": "a", "channel": "email"}'),
        ("/v1/suppressions", '{"customer": "a", "reason": "@"}'),
        ("/v1/agents/retention/rollback", '{"reason": "@"}'),
        ("/v1/keys", '{"name": "@", "scopes": ["decide"]}'),
    ],
)
def test_text_that_a_database_cannot_hold_is_refused_with_its_request(
    steady: httpx.Client, path: str, body: str, text: str
) -> None:
    headers = {"Content-Type": "application/json"}
    told = steady.post(path, content=body.replace("@", text).encode(), headers=headers)
    assert told.status_code in (400, 422)
    assert told.headers["content-type"] == "application/problem+json"
