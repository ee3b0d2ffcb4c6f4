"""Contacts that are confirmed, released, expired or objected to; and what the log says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from agents.checker import check_log
from agents.log import hash_customer
from experiments.logs import read_log
from serving.keeping.export import export_log
from serving.ledger import SqliteReader
from serving.settings import Settings, load_keys

Serve = Callable[..., AbstractContextManager[httpx.Client]]
Submit = Callable[[httpx.Client, str, str], httpx.Response]
Body = dict[str, Any]
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
FEATURES = {"likes": ["music"], "name": "Ann", "time_zone": "Europe/Berlin"}
HOUR = timedelta(hours=1)
TEXTS = {
    "  name: {type: text}": "  name: {type: text}\n  time_zone: {type: zone}",
    "  answered:": "  few: {rule: frequency_cap, max: 1, per: 7d}\n  answered:",
    "  web: {placements": "  phone:\n    windows: {evening: {from: '18:00', to: '20:00'}}\n"
    "    quiet_hours: {from: '20:00', to: '08:00'}\n  web: {placements",
}


@pytest.fixture
def confirming(own_shop: Path) -> Path:
    """The shop with a cap of one contact a week, and an agent whose contacts are confirmed."""
    text = (own_shop / "workspace.yaml").read_text()
    for old, new in TEXTS.items():
        assert old in text
        text = text.replace(old, new)
    (own_shop / "workspace.yaml").write_text(text)
    care = (own_shop / "agents" / "care.yaml").read_text()
    care = care.replace("channels: [email]", "channels: [email, phone]")
    care += "confirm: {within: 1h}\nalways_act: true\n"
    (own_shop / "agents" / "care.yaml").write_text(care)
    return own_shop


@pytest.fixture
def client(confirming: Path, open_shop: Serve) -> Iterator[httpx.Client]:
    with open_shop(sweep_every_s=3_600) as client:
        yield client


def post(client: httpx.Client, path: str, expect: int = 200, **body: Any) -> Body:
    answer = client.post(path, json=body)
    assert answer.status_code == expect, answer.text
    made: Body = answer.json()
    return made


def decide(
    client: httpx.Client, at: datetime = AT, customer: str = "ann", channel: str = "email"
) -> Body:
    return post(
        client, "/v1/decisions", agent="care", customer=customer, features=FEATURES,
        at=at.isoformat(), channels=[channel],
    )  # fmt: skip


def say(client: httpx.Client, made: Body, state: str, at: datetime = AT, expect: int = 200) -> Body:
    path = f"/v1/decisions/{made['decision_id']}/delivery"
    return post(client, path, expect, state=state, at=at.isoformat())


def sweep(path: Path, now: datetime) -> list[str]:
    """Return whose reservations a sweep would end."""
    reader = SqliteReader.open(path)
    try:
        return reader.overdue(now, 100)
    finally:
        reader.close()


def barred(made: Body) -> bool:
    return bool(made["reason"] == "all_barred")


def test_a_reserved_contact_counts_until_it_is_released(client: httpx.Client) -> None:
    made = decide(client)
    assert made["action"]["channel"] == "email"
    assert barred(decide(client))
    assert say(client, made, "released") == {
        "decision_id": made["decision_id"], "state": "released", "replayed": False,
    }  # fmt: skip
    assert say(client, made, "released")["replayed"]
    assert "do not send" in say(client, made, "delivered", expect=409)["detail"]
    assert not barred(decide(client))


def test_a_delivered_contact_counts_for_good(client: httpx.Client) -> None:
    made = decide(client)
    soon = AT + timedelta(minutes=59)
    assert say(client, made, "delivered", soon)["state"] == "delivered"
    assert say(client, made, "delivered", AT + 3 * HOUR)["replayed"]
    assert "is delivered" in say(client, made, "released", expect=409)["detail"]
    assert barred(decide(client, AT + 2 * HOUR))


def test_what_nobody_confirms_in_time_expires(
    confirming: Path, open_shop: Serve, tmp_path: Path
) -> None:
    with open_shop(sweep_every_s=3_600) as client:
        made = decide(client)
        late = say(client, made, "delivered", AT + HOUR, expect=409)["detail"]
        assert "was reserved until 2026-03-02T10:00:00+00:00" in late
        other = decide(client, AT + HOUR, customer="bob")
    path = tmp_path / "data" / "ledger.sqlite"
    assert sweep(path, AT + HOUR - timedelta(microseconds=1)) == []
    assert sweep(path, AT + HOUR) == [made["decision_id"]]
    with open_shop(sweep_every_s=3_600) as client:  # sweeps once, when it starts
        assert say(client, made, "released", AT + HOUR)["state"] == "expired"
        assert "is expired" in say(client, made, "delivered", expect=409)["detail"]
        assert say(client, other, "delivered", AT + HOUR)["state"] == "delivered"
        assert not barred(decide(client, AT + HOUR))


def test_what_was_planned_is_confirmed_when_it_is_sent(client: httpx.Client) -> None:
    made = decide(client, channel="phone")
    send_at = datetime.fromisoformat(made["action"]["send_at"])
    assert send_at == datetime(2026, 3, 2, 17, tzinfo=UTC)
    assert "do not send now" in say(client, made, "delivered", expect=409)["detail"]
    night = datetime(2026, 3, 2, 19, 1, tzinfo=UTC)
    refused = say(client, made, "delivered", night, expect=409)["detail"]
    assert "do not send" in refused  # quiet from eight, and more than an hour after six
    assert say(client, made, "delivered", send_at)["state"] == "delivered"


def test_quiet_hours_are_asked_again_at_the_confirmation(
    confirming: Path, open_shop: Serve
) -> None:
    file = confirming / "agents" / "care.yaml"
    file.write_text(file.read_text().replace("within: 1h", "within: 30d"))
    with open_shop(sweep_every_s=3_600) as client:
        made = decide(client, channel="phone")
        for hour in (19, 22, 30):
            at = datetime(2026, 3, 2, tzinfo=UTC) + hour * HOUR
            assert "not open" in say(client, made, "delivered", at, expect=409)["detail"]
        at = datetime(2026, 3, 3, 17, 30, tzinfo=UTC)
        assert say(client, made, "delivered", at)["state"] == "delivered"


def test_a_decision_that_sends_nothing_is_not_delivered(client: httpx.Client) -> None:
    decide(client)
    nothing = decide(client)
    assert "sends nothing" in say(client, nothing, "delivered", expect=422)["detail"]
    post(client, "/v1/decisions/nope/delivery", 404, state="delivered", at=AT.isoformat())


def test_no_decision_contacts_who_objects(client: httpx.Client) -> None:
    reserved = decide(client)
    told = post(client, "/v1/suppressions", customer="ann", channels=["email"], at=AT.isoformat())
    assert (told["suppressed"], told["released"]) == ({"email": None}, [])
    assert "not to be contacted" in say(client, reserved, "delivered", expect=409)["detail"]
    say(client, reserved, "released")
    made = decide(client)
    assert barred(made)
    whole = client.get(f"/v1/decisions/{made['decision_id']}").json()
    assert whole["suppressed"] == ["email"]
    reasons = dict(zip(whole["actions"], whole["mask"], strict=True))
    email = "suppressed: the customer is not to be contacted by email"
    assert reasons["advice/plain@email"] == email
    assert not barred(decide(client, channel="phone"))
    assert not barred(decide(client, customer="bob"))


def test_what_is_planned_is_released_and_a_suppression_is_never_shortened(
    client: httpx.Client,
) -> None:
    planned = decide(client, channel="phone")
    until = (AT + timedelta(days=30)).isoformat()
    told = post(client, "/v1/suppressions", customer="ann", until=until, at=AT.isoformat())
    assert told["released"] == [planned["decision_id"]]
    assert "do not send" in say(client, planned, "delivered", expect=409)["detail"]
    sooner = (AT + timedelta(days=2)).isoformat()
    told = post(client, "/v1/suppressions", customer="ann", until=sooner, at=AT.isoformat())
    assert told["suppressed"] == {"*": until}
    assert barred(decide(client, AT + timedelta(days=29)))
    assert not barred(decide(client, AT + timedelta(days=30)))
    told = post(client, "/v1/suppressions/lift", customer="ann", at=AT.isoformat())
    assert told["suppressed"] == {}
    assert not barred(decide(client))


def test_what_is_delivered_ahead_stays_counted_whoever_objects(
    client: httpx.Client, confirming: Path, submit: Submit
) -> None:
    care = (confirming / "agents" / "care.yaml").read_text()
    assert submit(client, "care", care.replace("confirm: {within: 1h}\n", "")).is_success
    planned = decide(client, channel="phone")
    say(client, planned, "delivered")
    told = post(client, "/v1/suppressions", customer="ann", at=AT.isoformat())
    assert told["released"] == []
    post(client, "/v1/suppressions/lift", customer="ann", at=AT.isoformat())
    assert barred(decide(client))  # of one contact a week


def test_a_retry_is_not_told_to_send_what_was_released(client: httpx.Client) -> None:
    """The caller may have missed the first answer, and somebody objected meanwhile."""
    body = {
        "agent": "care", "customer": "ann", "features": FEATURES, "at": AT.isoformat(),
        "channels": ["email"],
    }  # fmt: skip
    made = client.post("/v1/decisions", json=body, headers={"Idempotency-Key": "k"}).json()
    again = client.post("/v1/decisions", json=body, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json()["decision_id"]) == (200, made["decision_id"])
    say(client, made, "released")
    line = {name: body[name] for name in ("customer", "features", "channels")}
    asked = {"agent": "care", "at": body["at"], "decisions": [line | {"key": "k"}]}
    batch = client.post("/v1/decisions/batch", json=asked)
    retry = client.post("/v1/decisions", json=body, headers={"Idempotency-Key": "k"})
    assert retry.status_code == 409
    assert retry.json()["decision_id"] == made["decision_id"]
    assert "was released meanwhile; do not send it" in retry.json()["detail"]
    assert batch.json()["status"] == 409, batch.text


def test_a_suppression_that_has_ended_already_is_refused(client: httpx.Client) -> None:
    body = {"customer": "ann", "until": AT.isoformat(), "at": AT.isoformat()}
    refused = post(client, "/v1/suppressions", 422, **body)
    assert refused["detail"].startswith("until: expected a time after now")


def test_suppressions_of_what_is_unknown_are_refused(client: httpx.Client) -> None:
    at = AT.isoformat()
    refused = post(client, "/v1/suppressions", 422, customer="ann", channels=["emial"], at=at)
    assert "did you mean 'email'?" in refused["detail"]
    assert post(client, "/v1/suppressions/lift", customer="who", at=at)["suppressed"] == {}


def test_a_suppression_outlives_an_erasure_and_a_restart(
    confirming: Path, open_shop: Serve, tmp_path: Path
) -> None:
    with open_shop(sweep_every_s=3_600) as client:
        decide(client)
        post(client, "/v1/suppressions", customer="ann", at=AT.isoformat())
        assert client.delete("/v1/customers/ann").status_code == 200
    with open_shop(sweep_every_s=3_600) as client:
        assert barred(decide(client))
    reader = SqliteReader.open(tmp_path / "data" / "ledger.sqlite")
    kinds = [entry for entry in reader.entries(0, 100) if entry.kind == "suppression"]
    hashed = hash_customer(load_keys(tmp_path / "data").customer, "ann")
    assert [entry.body["customer"] for entry in kinds] == [hashed]
    reader.close()


def test_the_log_tells_what_was_given_back_and_is_found_lawful(
    confirming: Path, open_shop: Serve, tmp_path: Path
) -> None:
    with open_shop(sweep_every_s=3_600) as client:
        given_back = [decide(client, customer=f"c{n}") for n in range(4)]
        for made in given_back:
            post(
                client, "/v1/outcomes", outcome_id=f"o-{made['decision_id']}", outcome="order",
                decision_id=made["decision_id"], at=AT.isoformat(),
            )  # fmt: skip
            say(client, made, "released")
        kept = [decide(client, customer=f"c{n}") for n in range(4)]
        for made in kept:
            say(client, made, "delivered")
        first = kept[0]["decision_id"]
        event = {"outcome": "order", "decision_id": first, "at": AT.isoformat()}
        post(client, "/v1/outcomes", outcome_id="o1", **event)
        decide(client, AT + HOUR, customer="c0")  # knows of it
        post(client, "/v1/outcomes", outcome_id="c", adjusts="o1", retract=True, at=AT.isoformat())
        decide(client, AT + HOUR, customer="c0")  # no more
        decide(client, AT + timedelta(days=60), customer="z")
    table = exported(confirming, tmp_path)
    rows = {row["decision_id"]: row for row in table.to_pylist()}
    for made in given_back:
        row = rows[made["decision_id"]]
        assert (row["state"], row["reward"], row["outcomes"]) == ("released", 0.0, [])
        assert row["given_back"] > row["position"]
    assert {rows[made["decision_id"]]["state"] for made in kept} == {"delivered"}
    (retracted,) = rows[first]["retracted"]
    assert (retracted["event"], retracted["at"]) == ("order", AT)
    assert list(check_log(table, confirming)) == []
    log = read_log(tmp_path / "log" / "decisions.parquet", agent="care", include_open=True)
    assert (len(log), log.given_back_rows) == (7, 4)
    found = check_log(_with(table, "given_back", None), confirming)
    assert {breach.guardrail for breach in found} >= {"context", "few"}
    found = check_log(_with(table, "retracted", []), confirming)
    assert {breach.detail for breach in found} == {f"order at {AT} was known before and is not now"}


def exported(workspace: Path, tmp_path: Path) -> pa.Table:
    settings = Settings(workspace, tmp_path / "data", clock="driven")
    export_log(settings, tmp_path / "log", now=AT + timedelta(days=60))
    return pq.read_table(tmp_path / "log" / "decisions.parquet")


def _with(table: pa.Table, name: str, value: object) -> pa.Table:
    """Return a table with one value in all rows of a column."""
    index = table.schema.get_field_index(name)
    column = pa.array([value] * table.num_rows, table.schema.field(name).type)
    return table.set_column(index, table.schema.field(name), column)


def test_a_lie_about_who_objects_is_found(
    confirming: Path, open_shop: Serve, tmp_path: Path
) -> None:
    with open_shop(sweep_every_s=3_600) as client:
        decide(client)
        post(client, "/v1/suppressions", customer="ann", at=AT.isoformat())
        decide(client)
    table = exported(confirming, tmp_path)
    assert list(check_log(table, confirming)) == []
    contexts = pc.replace_substring(table["context"], '"suppressed":[]', '"suppressed":["*"]')
    lied = table.set_column(table.schema.get_field_index("context"), "context", contexts)
    assert [breach.guardrail for breach in check_log(lied, confirming)] == ["suppressed"]
    contexts = pc.replace_substring(table["context"], '"suppressed":["*"]', '"suppressed":[]')
    lied = table.set_column(table.schema.get_field_index("context"), "context", contexts)
    assert "suppressed" in {breach.guardrail for breach in check_log(lied, confirming)}
