"""Nothing of a customer and no key gets into logs, problems, metrics, the audit log or exports.

Canaries are sent to every route in every place where an id, a feature or a key may stand, in
requests that are accepted and in requests that are refused.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI

from serving.keeping.export import export_log
from serving.security.scopes import SCOPES, TABLE
from serving.security.tokens import make_token
from serving.settings import Settings
from serving.watching.logs import JsonLines, TextLines

ID = "canary-customer-7391"
FEATURE = "canary_feature_5527"
AMOUNT = 7391.5527
KEY = make_token()
AT = "2026-03-02T12:00:00Z"
PERSONAL = (ID, FEATURE, "7391.5527")
SECRETS = (KEY, KEY.rpartition("_")[2])


def routes(app: FastAPI | APIRouter) -> Iterator[tuple[str, str]]:
    for route in app.routes:
        if (included := getattr(route, "original_router", None)) is not None:
            yield from routes(included)
        else:
            path: str = getattr(route, "path")  # noqa: B009 - of every kind of route
            for method in sorted(set(getattr(route, "methods", None) or ()) - {"HEAD"}):
                yield method, path


def bodies(features: dict[str, Any]) -> Iterator[Any]:
    """Bodies with canaries: right for some route, wrong in some way for every other."""
    person = {"customer": ID, "at": AT}
    decision = {"agent": "retention", "features": features, **person}
    yield {}
    yield [ID]
    yield decision
    yield decision | {"features": features | {"plan": FEATURE}}
    yield decision | {"features": features | {"monthly_bill": AMOUNT}}
    yield decision | {"features": features | {FEATURE: 1, "time_zone": FEATURE}}
    yield decision | {"features": features | {"tenure_months": FEATURE}}
    yield decision | {"agent": "retentoin"}
    yield decision | {"placement": "nowhere"}
    yield {"agent": "retention", "decisions": [{"customer": ID, "features": {"plan": FEATURE}}]}
    yield {"outcome_id": "o-1", "outcome": "renewed", **person}
    yield {"outcome_id": "o-2", "outcome": "nothing", **person}
    yield {"outcome_id": "o-3", "outcome": "renewed", "decision_id": "d-1", "at": AT}
    yield {"outcomes": [{"outcome_id": "o-4", "outcome": "renewed", **person}]}
    yield {"contact_id": "c-1", "channel": "email", **person}
    yield {"contact_id": "c-2", "channel": "fax", **person}
    yield {"customer": ID, "channels": ["fax"], "reason": "asked"}
    yield {"customer": ID, "channels": ["sms"], "reason": "asked"}
    yield {"customer": ID * 20}
    yield {"customer": {"id": ID}, "features": [FEATURE]}
    yield {"name": "x", "scopes": [KEY]}


class Heard:
    """All that came out of a server."""

    def __init__(self) -> None:
        self.problems: list[tuple[str, str]] = []
        self.accepted: set[tuple[str, str]] = set()


def ask_everything(server: Any, features: dict[str, Any], caller: dict[str, str]) -> Heard:
    """Ask each route with each body, and with canaries in its address, query and headers."""
    heard = Heard()
    for method, template in routes(server.app):
        path = template
        for part in ("{customer:path}", "{customer}"):
            path = path.replace(part, ID)
        path = path.replace("{name}", "retention").replace("{", "").replace("}", "")
        contents = [None] if method in {"GET", "DELETE"} else list(bodies(features))
        for content in contents:
            for headers in (caller, caller | {"X-API-Key": KEY}, {"X-API-Key": KEY}):
                answer = server.request(
                    method, path, json=content, headers=headers, params={"customer": ID}
                )
                if answer.status_code >= 400:
                    heard.problems.append((f"{method} {template} {content}", answer.text))
                else:
                    heard.accepted.add((method, template))
    for body in (f'{{"customer": "{ID}", "customer": 1}}', f'{{"{ID}"', f"\xff{ID}", f"[{ID}]"):
        headers = caller | {"Content-Type": "application/json"}
        answer = server.post("/v1/decisions", content=body.encode("latin-1"), headers=headers)
        heard.problems.append((body, answer.text))
        answer = server.request("PUT", "/v1/agents/retention", content=body, headers=caller)
        heard.problems.append((body, answer.text))
    return heard


@pytest.fixture
def canaries(
    server: Any, issue: Any, features: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> Heard:
    own = {"Authorization": f"Bearer {issue(*SCOPES)['token']}"}
    with caplog.at_level(logging.DEBUG):
        return ask_everything(server, features, own)


def lines(records: list[logging.LogRecord]) -> str:
    """All that the server's own loggers said, their facts and exceptions with it."""
    formats = (JsonLines(), TextLines())
    own = [record for record in records if not record.name.startswith(("httpx", "httpcore"))]
    return "\n".join(each.format(record) for record in own for each in formats)


def test_canaries(
    canaries: Heard,
    server: Any,
    admin: dict[str, str],
    issue: Any,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """One server, asked once, since that is most of the time; each place is looked at by itself."""
    assert {("POST", "/v1/decisions"), ("GET", "/v1/customers/{customer:path}")} <= (
        canaries.accepted
    )
    assert len(canaries.problems) > len(TABLE)

    logged = lines(caplog.get_records("setup"))
    assert "nextbest" in logged
    assert [canary for canary in (*PERSONAL, *SECRETS) if canary in logged] == []

    told = {what: text for what, text in canaries.problems if any(c in text for c in PERSONAL)}
    assert told == {}
    assert [what for what, text in canaries.problems if any(s in text for s in SECRETS)] == []

    own = {"Authorization": f"Bearer {issue('evaluate')['token']}"}
    metrics = server.get("/metrics", headers=own).text
    assert "nextbest" in metrics
    audited = server.get("/v1/audit", headers=admin)
    assert audited.json()
    for text in (metrics, audited.text):
        assert [canary for canary in (*PERSONAL, *SECRETS) if canary in text] == []

    export_log(settings, tmp_path / "export", now=datetime(2026, 6, 1, tzinfo=UTC))
    written = [path for path in (tmp_path / "export").rglob("*") if path.is_file()]
    assert written
    for path in written:
        assert ID.encode() not in path.read_bytes(), path
    for path in settings.snapshots.rglob("*"):
        assert path.is_dir() or ID.encode() not in path.read_bytes(), path
