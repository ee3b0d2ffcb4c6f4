"""Over HTTP: sets, placements, content, amounts, reports by customer, arbitration, lessons."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest

from agents.decisions import Decision
from agents.load import load_workspace
from agents.units import parse_instant
from serving.deciding.decider import bid_value
from serving.keeping.export import export_log
from serving.learning.learner import Learner
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import SqliteReader
from serving.settings import Settings, load_keys

Serve = Callable[..., AbstractContextManager[httpx.Client]]
Body = dict[str, Any]
FEATURES = {"likes": ["music", "film"], "name": "Ann", "since": "2020-01-01T00:00:00Z"}


def at(day: int, hour: int = 9) -> str:
    return f"2026-03-{day:02}T{hour:02}:00:00+00:00"


@pytest.fixture
def shop_client(open_shop: Serve) -> Iterator[httpx.Client]:
    with open_shop() as client:
        yield client


def decide(client: httpx.Client, **change: Any) -> Body:
    body = {"agent": "sales", "customer": "ann", "features": FEATURES, "at": at(2)} | change
    answer = client.post("/v1/decisions", json={k: v for k, v in body.items() if v is not None})
    assert answer.status_code == 200, answer.text
    made: Body = answer.json()
    return made


def offer(client: httpx.Client, name: str, **change: Any) -> Body:
    """Decide for new customers until an offer is drawn."""
    for number in range(200):
        made = decide(client, **{"customer": f"{name}-{number}"} | change)
        if made["action"]["offer"] == name:
            return made
    raise AssertionError(f"{name} was drawn for nobody of 200")


def whole(client: httpx.Client, decision_id: str) -> Body:
    found: Body = client.get(f"/v1/decisions/{decision_id}").json()
    return found


def report(client: httpx.Client, outcome_id: str, outcome: str, **more: Any) -> httpx.Response:
    body = {"outcome_id": outcome_id, "outcome": outcome, "at": at(3)} | more
    return client.post("/v1/outcomes", json=body)


def test_content_is_written_for_the_customer(shop_client: httpx.Client) -> None:
    bundle = offer(shop_client, "gadget")
    content = bundle["action"]["content"]
    assert (content["subject"], content["text"]) == ("Dear Ann", "A gadget.")
    assert bundle["action"]["includes"] == ["cable"]
    assert content["includes"]["cable"]["text"] == "A cable."
    again = decide(shop_client, agent="care", features={"name": "Ann"})
    assert again["action"]["id"] == "none"
    assert again["action"]["content"] is None


def test_a_replay_has_the_same_words(shop_client: httpx.Client) -> None:
    body = {"agent": "sales", "customer": "ann", "features": FEATURES, "at": at(2)}
    first, again = (
        shop_client.post("/v1/decisions", json=body, headers={"Idempotency-Key": "k"})
        for _ in range(2)
    )
    assert first.json() == again.json()
    other = shop_client.post(
        "/v1/decisions", json=body | {"placement": "banner"}, headers={"Idempotency-Key": "k"}
    )
    assert other.status_code == 422


def test_a_slot_is_filled_by_what_fits_it(shop_client: httpx.Client) -> None:
    for placement, channels in (("banner", {"web"}), (None, {"email"}), ("footer", {""})):
        made = [decide(shop_client, placement=placement, customer=f"{n}") for n in range(12)]
        assert {each["action"]["channel"] for each in made} == channels
    assert whole(shop_client, made[0]["decision_id"])["placement"] == "footer"


def test_a_slot_that_no_channel_has_is_refused_alone_and_in_a_batch(
    shop_client: httpx.Client,
) -> None:
    body = {"agent": "sales", "at": at(2)}
    line = {"customer": "ann", "features": FEATURES, "placement": "baner"}
    alone = shop_client.post("/v1/decisions", json=body | line)
    batch = shop_client.post("/v1/decisions/batch", json=body | {"decisions": [line]})
    for told in (alone.json(), batch.json()):
        assert (told["status"], told["detail"]) == (
            422, "placement: got 'baner'; did you mean 'banner'?",
        )  # fmt: skip
    assert alone.status_code == 422


@pytest.mark.parametrize(
    ("features", "detail"),
    [
        ({"likes": "music"}, "customer.likes: expected a list"),
        ({"likes": ["music", "music"]}, "expected each value once"),
        ({"likes": ["musik"]}, "did you mean 'music'?"),
        ({"since": "yesterday"}, "customer.since: expected an instant"),
    ],
)
def test_sets_and_instants_are_checked(
    shop_client: httpx.Client, features: Body, detail: str
) -> None:
    body = {"agent": "sales", "customer": "ann", "features": features, "at": at(2)}
    answer = shop_client.post("/v1/decisions", json=body)
    assert answer.status_code == 422
    assert detail in answer.json()["detail"]


def test_the_whole_record_shows_what_was_known(shop_client: httpx.Client) -> None:
    first = offer(shop_client, "gadget")
    customer = whole(shop_client, first["decision_id"])["customer"]
    opened = report(shop_client, "o", "opened", decision_id=first["decision_id"]).json()
    assert opened["counted"] == []
    made = decide(shop_client, customer=customer, at=at(4))
    record = whole(shop_client, made["decision_id"])
    assert record["features"]["likes"] == ["music", "film"]
    assert parse_instant(record["features"]["since"]["instant"]) == parse_instant(FEATURES["since"])
    (contact,) = record["contacts"]
    assert contact["decision_id"] == first["decision_id"]
    assert contact["includes"] == ["cable"]
    assert [event["event"] for event in record["events"]] == ["opened"]
    assert record["events"][0]["offer"] == "gadget"
    assert max(record["usage"].values()) >= 1
    assert record["arbitration"] is None


def test_a_report_by_customer_is_credited_to_the_latest_contact(shop_client: httpx.Client) -> None:
    older = decide(shop_client)
    newer = decide(shop_client, at=at(2, 10))
    decide(shop_client, at=at(9))  # after the event: not what it followed
    told = report(shop_client, "o1", "order", customer="ann", properties={"amount": 30}).json()
    assert told["decision_id"] == newer["decision_id"] != older["decision_id"]
    assert told["counted"] == ["bought", "first_order"]
    more = report(shop_client, "o2", "order", customer="ann", properties={"amount": 7}).json()
    assert more["counted"] == ["bought"]  # first_order counts once
    record = whole(shop_client, newer["decision_id"])
    assert 41 < record["reward"] <= 42  # 30 + 7 + 5, less the contact's cost
    assert [event["customer"] for event in record["outcomes"]] == ["ann", "ann"]
    again = report(shop_client, "o1", "order", customer="ann", properties={"amount": 30}).json()
    assert again == told | {"replayed": True}
    other = report(shop_client, "o1", "order", customer="ann", properties={"amount": 31})
    assert other.status_code == 422


def test_a_report_that_followed_nothing_is_kept(shop_client: httpx.Client, tmp_path: Path) -> None:
    late = report(shop_client, "o1", "order", customer="ann", properties={"amount": 30}).json()
    assert (late["decision_id"], late["counted"]) == ("", [])
    assert report(shop_client, "o2", "opened", customer="ann").json()["decision_id"] == ""
    made = decide(shop_client, at=at(3, 9))
    events = whole(shop_client, made["decision_id"])["events"]
    assert [(event["event"], event["decision_id"]) for event in events] == [
        ("order", ""), ("opened", ""),
    ]  # fmt: skip
    settings = Settings(tmp_path, tmp_path / "data")
    assert export_log(settings, tmp_path / "log", now=parse_instant(at(4))) == 1
    table = pq.read_table(tmp_path / "log" / "events" / "events.parquet")
    assert table["event"].to_pylist() == ["order", "opened"]
    assert table["properties"].to_pylist() == ['{"amount":30.0}', "{}"]
    assert "ann" not in table["customer"].to_pylist()


@pytest.mark.parametrize(
    ("more", "status", "detail"),
    [
        ({}, 422, "expected 'decision_id' or 'customer'"),
        ({"decision_id": "d", "customer": "ann"}, 422, "expected 'decision_id' or 'customer'"),
        ({"customer": "ann"}, 422, "expects 'amount', a number from 0 to 500; got none"),
        ({"customer": "ann", "properties": {"amount": 501}}, 422, "from 0 to 500, got 501"),
        ({"customer": "ann", "properties": {"amount": True}}, 422, "properties.amount: "),
        (
            {"customer": "ann", "outcome": "ordr"},
            404,
            "no agent hears 'ordr'; did you mean 'order'",
        ),
    ],
)
def test_a_report_that_does_not_fit_is_refused(
    shop_client: httpx.Client, more: Body, status: int, detail: str
) -> None:
    made = decide(shop_client)
    answer = report(shop_client, "o", **{"outcome": "order"} | more)
    assert answer.status_code == status, answer.text
    assert detail in answer.json()["detail"]
    assert whole(shop_client, made["decision_id"])["outcomes"] == []


def test_a_word_that_the_agent_does_not_hear_is_told(shop_client: httpx.Client) -> None:
    made = decide(shop_client)
    answer = report(shop_client, "o", "openned", decision_id=made["decision_id"])
    assert answer.status_code == 404
    assert "agent 'sales' does not hear 'openned'; did you mean 'opened'?" in answer.text
    bought = report(shop_client, "o", "bought", decision_id=made["decision_id"])
    assert bought.status_code == 404  # it is reported by another word


def test_a_stock_is_never_overdrawn(open_shop: Serve, own_shop: Path) -> None:
    agent = own_shop / "agents" / "sales.yaml"
    agent.write_text(agent.read_text().replace("stock: {max: 100000}", "stock: {max: 5}"))
    with open_shop() as client, ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda n: decide(client, customer=f"c{n}"), range(80)))
        last = whole(client, made[0]["decision_id"])
        late = whole(client, decide(client, customer="late")["decision_id"])
    gadgets = [each for each in made if each["action"]["offer"] == "gadget"]
    assert len(gadgets) == 5
    barred = late["mask"][late["actions"].index("gadget/plain@email")]
    assert "stock" in barred
    assert last["usage"].keys() == late["usage"].keys()


def test_one_of_several_agents_decides(shop_client: httpx.Client, tmp_path: Path) -> None:
    made = decide(shop_client, agent=None, agents=["sales", "care"])
    assert made["agent"] == made["arbitration"]["chosen"] == "care"  # its lever is 2
    bids = {bid["agent"]: bid for bid in made["arbitration"]["bids"]}
    assert bids["care"]["score"] == 2.0 == 2 * bids["sales"]["score"]
    assert bids["care"]["probability"] == 1.0
    record = whole(shop_client, made["decision_id"])
    assert record["arbitration"] == made["arbitration"]
    alone = decide(shop_client, agent=None, agents=["sales", "care"], features={"name": "Ann"})
    assert [bid["agent"] for bid in alone["arbitration"]["bids"]] == ["sales"]  # care cannot act
    silent = decide(
        shop_client, agent=None, agents=["care", "sales"], features={}, placement="footer"
    )
    assert (silent["agent"], silent["arbitration"]) == ("care", None)
    assert silent["action"]["id"] == "none"
    with closing(SqliteReader.open(tmp_path / "data" / "ledger.sqlite")) as reader:
        decisions = [e for e in reader.entries(0, 100) if e.kind == "decision"]
    assert len(decisions) == 3  # the losers' decisions are not made


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"agents": ["sales"]}, "expected 'agent' or 'agents', one of them"),
        ({"agent": None}, "expected 'agent' or 'agents', one of them"),
        ({"agent": None, "agents": []}, "agents: "),
        ({"agent": None, "agents": ["sales", "sales"]}, "expected each of 'agents' once"),
        ({"agent": None, "agents": ["sales", "cares"]}, "did you mean 'care'?"),
    ],
)
def test_a_question_to_several_must_be_one(
    shop_client: httpx.Client, change: Body, detail: str
) -> None:
    body = {"agent": "sales", "customer": "ann", "features": FEATURES, "at": at(2)} | change
    answer = shop_client.post(
        "/v1/decisions", json={k: v for k, v in body.items() if v is not None}
    )
    assert answer.status_code in (404, 422)
    assert detail in answer.json()["detail"]


def test_a_bid_is_what_the_decision_is_worth(open_shop: Serve, own_shop: Path) -> None:
    with open_shop() as client:
        made = whole(client, decide(client, agent="care")["decision_id"])
        uniform = whole(client, decide(client)["decision_id"])
    revisions = load_workspace(own_shop).revisions
    by_hand = sum(
        p * (expected + 4.0 * action.startswith("advice"))
        for p, expected, action in zip(
            made["distribution"], made["expected"], made["actions"], strict=True
        )
    )
    care = bid_value(Decision.from_record(made), revisions["care"])
    assert care > 1.0  # the offer's own value is in it
    assert np.isclose(care, by_hand, rtol=1e-12)
    # a policy without values expects nothing, and these offers have no value of their own
    assert bid_value(Decision.from_record(uniform), revisions["sales"]) == 0.0


def test_each_newly_counted_outcome_is_one_lesson(open_shop: Serve, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with open_shop() as client:
        made = decide(client)
        for number in range(3):
            report(
                client, f"o{number}", "order",
                decision_id=made["decision_id"], properties={"amount": 9},
            )  # fmt: skip
        report(client, "seen", "opened", decision_id=made["decision_id"])
        report(client, "loose", "opened", customer="nobody")
    folder = SnapshotFolder(data / "snapshots", load_keys(data).snapshot)
    with closing(SqliteReader.open(data / "ledger.sqlite")) as reader:
        learner = Learner(reader, folder, every_s=0.0)
        while learner.step():
            pass
    # the decision; bought and first_order at once; bought twice more
    assert learner.pupils["sales"].lessons == 1 + 2 + 1 + 1
