"""A store that is read-only, gone, or gone and back: 503, and never an ungoverned offer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.app import make_app
from serving.ledger import open_reader
from serving.settings import Settings

AT = "2026-03-02T09:00:00+00:00"
RULE = "  once: {rule: frequency_cap, max: 1, per: 10d, scope: all}\n"


async def decide(http: httpx.AsyncClient, key: str, customer: str) -> httpx.Response:
    body = {"agent": "sales", "customer": customer, "features": {"spend": 1.0}, "at": AT}
    return await http.post("/v1/decisions", json=body, headers={"Idempotency-Key": key})


def refused(answers: list[httpx.Response]) -> bool:
    """Say whether all were refused for now, in a problem's words and with nothing to send."""
    return all(
        answer.status_code == 503
        and answer.headers["Content-Type"] == "application/problem+json"
        and int(answer.headers["Retry-After"]) >= 1
        and "action" not in answer.json()
        for answer in answers
    )


async def go_through(
    settings: Settings, gone: Callable[[Any], None], back: Callable[[Any], None]
) -> None:
    """Decide, take the store away, try, bring it back, and decide again."""
    app = make_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            before = await decide(http, "before", "ann")
            assert before.json()["reason"] == "policy"
            gone(app)
            tries = [
                await decide(http, "during", "ann"),
                await decide(http, "other", "bob"),
                await http.post(
                    "/v1/outcomes",
                    json={
                        "outcome_id": "o", "decision_id": before.json()["decision_id"],
                        "outcome": "bought", "at": AT,
                    },
                ),
                await http.post("/v1/suppressions", json={"customer": "cyd", "at": AT}),
            ]  # fmt: skip
            assert refused(tries), [answer.text for answer in tries]
            back(app)
            after = await decide(http, "during", "ann")
            assert "Idempotent-Replay" not in after.headers
            assert after.json()["reason"] == "all_barred"  # the cap still knows of the first
            assert (await decide(http, "other", "bob")).json()["reason"] == "policy"
            again = await decide(http, "before", "ann")
            assert again.json()["decision_id"] == before.json()["decision_id"]


def kinds(settings: Settings) -> list[str]:
    with closing(open_reader(settings)) as reader:
        return [entry.kind for entry in reader.entries(0, 100)]


@pytest.fixture
def shop(write_shop: Any) -> Path:
    folder: Path = write_shop(RULE)
    return folder


def test_a_file_that_cannot_be_written_is_503(shop: Path, tmp_path: Path) -> None:
    settings = Settings(shop, tmp_path / "data", clock="driven")

    def ask(app: Any, what: str) -> None:
        app.state.runtime.writer._ledger._db.rows(what)

    def writable(app: Any) -> None:
        ask(app, "PRAGMA query_only=OFF")

    def read_only(app: Any) -> None:
        ask(app, "PRAGMA query_only=ON")

    asyncio.run(go_through(settings, read_only, writable))
    assert kinds(settings) == ["revision", "decision", "decision", "decision"]


def test_a_database_that_is_gone_is_503_until_it_is_back(
    shop: Path, tmp_path: Path, postgres: Any
) -> None:
    settings = Settings(shop, tmp_path / "data", clock="driven", ledger_url=postgres.schema("gone"))
    asyncio.run(go_through(settings, lambda _: postgres.kill(), lambda _: postgres.start()))
    assert kinds(settings) == ["revision", "decision", "decision", "decision"]


def test_a_file_that_is_moved_away_and_back_loses_nothing(shop: Path, tmp_path: Path) -> None:
    settings = Settings(shop, tmp_path / "data", clock="driven")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    async def go() -> dict[str, str]:
        answered = {}
        app = make_app(settings)
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
                for number in range(30):
                    files = list(
                        (settings.data if number == 10 else elsewhere).glob("ledger.sqlite*")
                    )
                    if number in (10, 20):
                        for file in files:
                            file.rename((elsewhere if number == 10 else settings.data) / file.name)
                    answer = await decide(http, f"k{number}", f"c{number}")
                    assert answer.status_code in (200, 503), answer.text
                    if answer.is_success:
                        answered[f"k{number}"] = answer.json()["decision_id"]
        return answered

    answered = asyncio.run(go())
    assert len(answered) >= 20
    with closing(open_reader(settings)) as reader:
        for key, decision_id in answered.items():
            stored = reader.find_by_key(key)
            assert stored is not None
            assert stored.decision.decision_id == decision_id
