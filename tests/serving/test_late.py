"""Contacts that are confirmed later than planned: caps and cooldowns count them from then on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agents.checker import check_log
from agents.log import log_table
from serving.keeping.export import export_log
from serving.settings import Settings

Serve = Callable[..., AbstractContextManager[httpx.Client]]
Body = dict[str, Any]
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
FEATURES = {"likes": ["music"], "name": "Ann"}
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CARE = """\
confirm: {within: 1h}
always_act: true
guardrails:
"""


@pytest.fixture
def start(
    own_shop: Path, open_shop: Serve
) -> Callable[[str], AbstractContextManager[httpx.Client]]:
    """Start the shop with contacts that are confirmed, and with a rule."""

    def with_rule(rule: str) -> AbstractContextManager[httpx.Client]:
        file = own_shop / "agents" / "care.yaml"
        file.write_text(f"{file.read_text()}{CARE}  few: {rule}\n")
        return open_shop(sweep_every_s=3_600)

    return with_rule


PAUSE = "{rule: cooldown, after: contact, pause: 30m}"
CAP = "{rule: frequency_cap, max: 1, per: 7d}"


@pytest.fixture
def paused(start: Callable[[str], AbstractContextManager[httpx.Client]]) -> Iterator[httpx.Client]:
    with start(PAUSE) as client:
        yield client


def post(client: httpx.Client, path: str, expect: int = 200, **body: Any) -> Body:
    answer = client.post(path, json=body)
    assert answer.status_code == expect, answer.text
    made: Body = answer.json()
    return made


def decide(client: httpx.Client, at: datetime = AT, customer: str = "ann") -> Body:
    return post(
        client, "/v1/decisions", agent="care", customer=customer, features=FEATURES,
        at=at.isoformat(),
    )  # fmt: skip


def say(client: httpx.Client, made: Body, state: str, at: datetime, expect: int = 200) -> Body:
    path = f"/v1/decisions/{made['decision_id']}/delivery"
    return post(client, path, expect, state=state, at=at.isoformat())


def barred(made: Body) -> bool:
    return bool(made["reason"] == "all_barred")


@pytest.mark.parametrize(("rule", "lasts"), [(PAUSE, 30 * MINUTE), (CAP, 7 * DAY)])
def test_a_pause_and_a_span_end_as_late_as_the_contact_was_made(
    start: Callable[[str], AbstractContextManager[httpx.Client]], rule: str, lasts: timedelta
) -> None:
    with start(rule) as client:
        made = decide(client)
        made_at = AT + 50 * MINUTE
        say(client, made, "delivered", made_at)
        say(client, made, "delivered", made_at + MINUTE)  # said again: it moves no further
        assert barred(decide(client, AT + lasts + (made_at - AT) / 2))
        assert barred(decide(client, made_at + lasts - timedelta(microseconds=1)))
        assert not barred(decide(client, made_at + lasts))


def test_until_it_is_confirmed_a_contact_counts_as_planned(paused: httpx.Client) -> None:
    decide(paused)
    assert barred(decide(paused, AT + 29 * MINUTE))
    assert not barred(decide(paused, AT + 30 * MINUTE))


def test_a_late_contact_that_would_come_into_another_ones_pause_is_not_made(
    paused: httpx.Client,
) -> None:
    first = decide(paused)
    second = decide(paused, AT + 35 * MINUTE)
    assert not barred(second)
    refused = say(paused, first, "delivered", AT + 40 * MINUTE, expect=409)["detail"]
    assert "do not send: it is later than planned, and now barred by few (paused for 30m" in refused
    assert say(paused, second, "delivered", AT + 41 * MINUTE)["state"] == "delivered"
    assert "now barred" in say(paused, first, "delivered", AT + 42 * MINUTE, 409)["detail"]
    other = decide(paused, AT, customer="bob")
    third = decide(paused, AT + 35 * MINUTE, customer="bob")
    say(paused, third, "released", AT + 40 * MINUTE)
    assert say(paused, other, "delivered", AT + 45 * MINUTE)["state"] == "delivered"


def test_what_a_customer_did_meanwhile_bars_a_late_contact(
    start: Callable[[str], AbstractContextManager[httpx.Client]],
) -> None:
    with start("{rule: cooldown, after: [opened], pause: 2h, scope: all}") as client:
        made = decide(client)
        post(
            client, "/v1/outcomes", outcome_id="o1", outcome="opened", customer="ann",
            at=(AT + MINUTE).isoformat(),
        )  # fmt: skip
        assert "now barred by few" in say(client, made, "delivered", AT + HOUR / 2, 409)["detail"]


def test_without_confirm_a_delivery_is_only_noted(own_shop: Path, open_shop: Serve) -> None:
    file = own_shop / "agents" / "care.yaml"
    file.write_text(f"{file.read_text()}always_act: true\nguardrails:\n  few: {PAUSE}\n")
    with open_shop() as client:
        say(client, decide(client), "delivered", AT + 29 * MINUTE)
        assert not barred(decide(client, AT + 30 * MINUTE))


def test_a_budget_keeps_what_was_planned_for_its_period(
    start: Callable[[str], AbstractContextManager[httpx.Client]],
) -> None:
    """One a day; planned a quarter to midnight in Berlin, and made a quarter past."""
    late = datetime(2026, 3, 2, 22, 45, tzinfo=UTC)
    with start("{rule: budget, measure: contacts, max: 1, per: day}") as client:
        say(client, decide(client, late), "delivered", late + HOUR / 2)
        assert not barred(decide(client, late + HOUR / 2, customer="bob"))
        assert barred(decide(client, late + HOUR, customer="eve"))


def test_the_log_says_so_replays_and_is_found_lawful(
    start: Callable[[str], AbstractContextManager[httpx.Client]], own_shop: Path, tmp_path: Path,
    ledger_url: str,
) -> None:  # fmt: skip
    made_at = AT + 25 * MINUTE
    with start(PAUSE) as client:
        first, punctual = decide(client), decide(client, customer="bob")
        say(client, punctual, "delivered", AT)
        knows = decide(client, AT + 20 * MINUTE)  # of the instant that was planned
        say(client, first, "delivered", made_at)
        later = decide(client, AT + 50 * MINUTE)
        assert (barred(knows), barred(later)) == (True, True)
        for each in (first, punctual, knows, later):
            whole = client.get(f"/v1/decisions/{each['decision_id']}").json()
            assert whole["replay"]["verdict"] == "same"
            assert (whole["made_at"] is not None) == (each is first)
        settings = Settings(own_shop, tmp_path / "data", clock="driven", ledger_url=ledger_url)
        export_log(settings, tmp_path / "log", now=AT + 60 * DAY)
    table = pq.read_table(tmp_path / "log" / "decisions.parquet")
    rows = {row["decision_id"]: row["late"] for row in table.to_pylist()}
    late = rows.pop(first["decision_id"])
    assert late["at"] == made_at
    assert set(rows.values()) == {None}
    assert list(check_log(table, own_shop)) == []
    index = table.schema.get_field_index("late")
    field = table.schema.field("late")
    untold = table.set_column(index, field, pa.nulls(table.num_rows, field.type))
    found = {breach.guardrail for breach in check_log(untold, own_shop)}
    assert found == {"context", "few"}


def test_a_lie_about_when_a_contact_was_made_is_found(
    paused: httpx.Client, own_shop: Path, tmp_path: Path, ledger_url: str
) -> None:
    first, second = decide(paused), decide(paused, AT + 35 * MINUTE)
    say(paused, second, "delivered", AT + 35 * MINUTE)
    settings = Settings(own_shop, tmp_path / "data", clock="driven", ledger_url=ledger_url)
    export_log(settings, tmp_path / "log", now=AT + 60 * DAY)
    table = pq.read_table(tmp_path / "log" / "decisions.parquet")
    assert list(check_log(table, own_shop)) == []
    for minutes, faults in ((40, {(first["decision_id"], "few")}), (5, set())):
        late = {"at": AT + minutes * MINUTE, "position": 99}
        rows = [
            row | {"late": late if row["decision_id"] == first["decision_id"] else None}
            for row in table.to_pylist()
        ]
        found = check_log(log_table(rows), own_shop)
        assert {(breach.decision_id, breach.guardrail) for breach in found} == faults
