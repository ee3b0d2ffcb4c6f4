"""Outcomes taken back, early, late and unknown; many at once; contacts made elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import orjson
import pytest

from agents.errors import ContextError
from serving.clock import DrivenClock, MachineClock
from serving.deciding.active import ActiveAgents
from serving.hearing.intake import Intake
from serving.hearing.recorder import KEPT, WAITS
from serving.ledger import SqliteLedger

Serve = Callable[..., AbstractContextManager[httpx.Client]]
Body = dict[str, Any]
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
FEATURES = {"likes": ["music"], "name": "Ann"}
CAP = "  few: {rule: frequency_cap, max: 2, per: 7d}\n  answered:"


@pytest.fixture
def shop_client(open_shop: Serve) -> Iterator[httpx.Client]:
    with open_shop(sweep_every_s=0.02) as client:
        yield client


def post(client: httpx.Client, path: str, expect: int = 200, **body: Any) -> Body:
    answer = client.post(path, json=body)
    assert answer.status_code == expect, answer.text
    made: Body = answer.json()
    return made


def decide(client: httpx.Client, at: datetime = AT, customer: str = "ann", **body: Any) -> Body:
    asked = {"agent": "sales", "features": FEATURES, **body}
    return post(client, "/v1/decisions", customer=customer, at=at.isoformat(), **asked)


def tell(client: httpx.Client, name: str, expect: int = 200, **body: Any) -> Body:
    word: Body = {} if "adjusts" in body else {"outcome": "order"}
    if "adjusts" not in body:
        body = {"properties": {"amount": 20}} | body
    asked: Body = {"at": AT.isoformat(), **word, **body}
    return post(client, "/v1/outcomes", expect, outcome_id=name, **asked)


def whole(client: httpx.Client, made: Body) -> Body:
    found: Body = client.get(f"/v1/decisions/{made['decision_id']}").json()
    return found


def test_an_amount_is_restated_and_an_outcome_taken_back(shop_client: httpx.Client) -> None:
    made = decide(shop_client)
    cost = -whole(shop_client, made)["reward"]
    tell(shop_client, "o1", decision_id=made["decision_id"])
    restated = tell(shop_client, "c1", adjusts="o1", properties={"amount": 35})
    assert (restated["adjusts"], restated["uncounted"]) == ("o1", [])
    found = whole(shop_client, made)
    assert found["reward"] == pytest.approx(35 + 5 - cost)
    assert [event["properties"] for event in found["outcomes"]] == [{"amount": 35}]
    again = tell(shop_client, "c1", adjusts="o1", properties={"amount": 35})
    assert again == restated | {"replayed": True}
    taken = tell(shop_client, "c2", adjusts="o1", retract=True)
    assert taken["uncounted"] == ["bought", "first_order"]
    found = whole(shop_client, made)
    assert (found["reward"], found["outcomes"]) == (pytest.approx(-cost), [])
    assert "final" in tell(shop_client, "c3", 409, adjusts="o1", retract=True)["detail"]
    assert tell(shop_client, "o1", decision_id=made["decision_id"])["replayed"]


@pytest.mark.parametrize(
    ("body", "expect", "words"),
    [
        ({"adjusts": "nothing", "retract": True}, 404, "there is no outcome 'nothing'"),
        ({"adjusts": "o1", "properties": {"amount": 900}}, 422, "from 0 to 500, got 900"),
        ({"adjusts": "o1", "properties": {}}, 422, "expects 'amount'"),
        ({"adjusts": "o1"}, 422, "'retract: true' or new 'properties'"),
        ({"adjusts": "o1", "retract": True, "outcome": "order"}, 422, "expected no 'decision_id'"),
        ({"adjusts": "o1", "retract": True, "outcome_id": "o1"}, 422, "before for an outcome"),
        ({"adjusts": "waits", "retract": True}, 409, "not there yet"),
        ({"retract": True, "customer": "ann"}, 422, "beside 'adjusts' only"),
    ],
)
def test_a_correction_that_cannot_be_is_refused(
    shop_client: httpx.Client, body: Body, expect: int, words: str
) -> None:
    made = decide(shop_client)
    tell(shop_client, "o1", decision_id=made["decision_id"])
    tell(shop_client, "waits", 202, decision_id="not-yet")
    asked = {"outcome_id": "c1", "at": AT.isoformat(), **body}
    asked |= {} if "adjusts" in body else {"outcome": "order"}
    assert words in post(shop_client, "/v1/outcomes", expect, **asked)["detail"]


def test_a_correction_and_an_outcome_never_share_an_id(shop_client: httpx.Client) -> None:
    made = decide(shop_client)
    tell(shop_client, "o1", decision_id=made["decision_id"])
    tell(shop_client, "c1", adjusts="o1", retract=True)
    refused = tell(shop_client, "c1", 422, decision_id=made["decision_id"])
    assert "used before for a correction" in refused["detail"]


def test_what_is_taken_back_pauses_nobody(shop_client: httpx.Client) -> None:
    """`opened` pauses its channel for an hour; after it is taken back the channel is open again."""
    made = decide(shop_client, channels=["email"])
    assert made["action"]["channel"] == "email"
    tell(shop_client, "o1", decision_id=made["decision_id"], outcome="opened")
    soon = AT + timedelta(minutes=5)
    assert decide(shop_client, soon, channels=["email"])["reason"] == "all_barred"
    tell(shop_client, "c1", adjusts="o1", retract=True)
    assert decide(shop_client, soon, channels=["email"])["action"]["channel"] == "email"


def test_early_and_late_outcomes(shop_client: httpx.Client) -> None:
    made = decide(shop_client)
    about: Body = {"decision_id": made["decision_id"]}
    early: Body = {"at": (AT - timedelta(minutes=5)).isoformat()}
    assert tell(shop_client, "o1", **about, **early)["counted"] == ["bought", "first_order"]
    assert whole(shop_client, made)["outcomes"][0]["at"] == AT.isoformat()
    too_early: Body = {"at": (AT - timedelta(minutes=5, seconds=1)).isoformat()}
    assert "after its decision" in tell(shop_client, "o2", 422, **about, **too_early)["detail"]
    late: Body = {"at": (AT + timedelta(days=14)).isoformat()}
    assert tell(shop_client, "o3", **about, **late)["counted"] == []
    assert len(whole(shop_client, made)["outcomes"]) == 2


def test_on_the_machine_s_clock_what_is_still_to_come_is_refused() -> None:
    clock = MachineClock(read=lambda: AT)
    assert clock.happened(None) == clock.happened(AT + timedelta(minutes=5)) == AT
    assert clock.happened(AT - timedelta(days=3)) == AT - timedelta(days=3)
    with pytest.raises(ContextError, match="at: expected no later than now"):
        clock.happened(AT + timedelta(minutes=5, seconds=1))


def test_an_outcome_waits_for_its_decision_through_a_restart(
    open_shop: Serve, tmp_path: Path
) -> None:
    with open_shop() as client:
        waits = tell(client, "o1", 202, decision_id="later")
        assert waits["pending"]
        assert tell(client, "o1", 202, decision_id="later")["replayed"]
        refused = tell(client, "o1", 422, decision_id="later", properties={"amount": 3})
        assert "used before" in refused["detail"]
        tell(client, "odd", 202, decision_id="later", outcome="nonsense")
        made = decide(client, AT)
    appear(tmp_path / "data" / "ledger.sqlite", made["decision_id"], "later")
    with open_shop(sweep_every_s=0.02) as client:
        found = wait_for(client, "later")
        assert [event["outcome_id"] for event in found["outcomes"]] == ["o1"]
        joined = tell(client, "o1", decision_id="later")
        assert (joined["replayed"], joined["counted"]) == (True, ["bought", "first_order"])
    ledger = SqliteLedger.open(tmp_path / "data" / "ledger.sqlite")
    assert ledger.pending_counts() == (0, 1)
    dead = ledger.find_pending("odd")
    assert dead is not None
    assert dead.dead is not None
    assert "does not hear 'nonsense'" in dead.dead
    ledger.close()


def appear(path: Path, made: str, name: str) -> None:
    """Let a decision be known by another id, as if it had come from elsewhere."""
    ledger = SqliteLedger.open(path)
    ledger.begin()
    stored = ledger.find_decision(made)
    assert stored is not None
    body = orjson.dumps(stored.decision.to_record() | {"decision_id": name})
    ledger._db.run("UPDATE log SET id = ? WHERE id = ?", (name, made))
    ledger._db.run("UPDATE log SET record = ? WHERE position = ?", (body, stored.position))
    ledger.commit()
    ledger.close()


def wait_for(client: httpx.Client, decision_id: str) -> Body:
    """Ask until an outcome has found its decision; each question is an event of the server."""
    for _ in range(2_000):
        answer: Body = client.get(f"/v1/decisions/{decision_id}").json()
        if answer["outcomes"]:
            return answer
    raise AssertionError("no outcome has found its decision")


def test_what_waits_in_vain_dies_after_seven_days_and_is_forgotten_later(
    open_shop: Serve, tmp_path: Path
) -> None:
    with open_shop() as client:
        tell(client, "o1", 202, decision_id="never")
        tell(client, "o2", 202, decision_id="never", at=(AT + timedelta(hours=1)).isoformat())
        decide(client, AT + WAITS)
    path = tmp_path / "data" / "ledger.sqlite"
    assert sweep_once(path) == (1, 1)
    with open_shop() as client:  # a report of what has died is taken as a new one
        assert not tell(client, "o1", 202, decision_id="never")["replayed"]
        decide(client, AT + WAITS + WAITS + timedelta(hours=1))
    assert sweep_once(path) == (0, 2)
    with open_shop() as client:
        decide(client, AT + WAITS + WAITS + KEPT + timedelta(hours=2))
    assert sweep_once(path) == (0, 0)


def sweep_once(path: Path) -> tuple[int, int]:
    """Sweep the ledger of a server that has stopped; return how many wait, and how many died."""
    ledger = SqliteLedger.open(path)
    try:
        ledger.begin()
        agents = cast("ActiveAgents", None)  # nothing is there to be joined or given back
        Intake.of(agents, DrivenClock(), b"").sweep.step(ledger)
        ledger.commit()
        return ledger.pending_counts()
    finally:
        ledger.close()


def test_of_many_outcomes_each_is_answered_by_itself(shop_client: httpx.Client) -> None:
    made = [decide(shop_client, customer=f"c{n}")["decision_id"] for n in range(3)]
    good: list[Any] = [
        {"outcome_id": f"o{n}", "decision_id": made[n % 3], "outcome": "order",
         "properties": {"amount": 1.0 + n}, "at": AT.isoformat()}
        for n in range(60)
    ]  # fmt: skip
    odd: list[Any] = [
        3, {"outcome_id": "x"}, good[0] | {"properties": {"amount": 7.0}},
        good[1], good[2] | {"outcome_id": "y", "decision_id": "later"},
        {"outcome_id": "z", "adjusts": "o5", "retract": True, "at": AT.isoformat()},
        {"outcome_id": "zz", "adjusts": "o5", "retract": True, "at": AT.isoformat()},
    ]  # fmt: skip
    told = post(shop_client, "/v1/outcomes/batch", outcomes=[*good, *odd])["outcomes"]
    assert [each["status"] for each in told] == [200] * 60 + [422, 422, 422, 200, 202, 200, 409]
    assert [each["answer"]["outcome_id"] for each in told[:60]] == [f"o{n}" for n in range(60)]
    assert all((each["answer"] is None) != (each["problem"] is None) for each in told)
    assert told[62]["problem"]["detail"].startswith("outcome_id 'o0' was used before")
    assert told[63]["answer"]["replayed"]
    rewards = [len(whole(shop_client, {"decision_id": name})["outcomes"]) for name in made]
    assert rewards == [20, 20, 19]
    too_many = [good[0]] * 1_001
    post(shop_client, "/v1/outcomes/batch", 422, outcomes=too_many)
    post(shop_client, "/v1/outcomes/batch", 422, outcomes=[])


def test_a_batch_may_be_larger_than_one_outcome(shop_client: httpx.Client) -> None:
    event = {"outcome_id": "o", "customer": "ann", "outcome": "opened", "at": AT.isoformat()}
    many = [event | {"outcome_id": f"{n:0100d}"} for n in range(1_000)]
    told = post(shop_client, "/v1/outcomes/batch", outcomes=many)["outcomes"]
    assert {each["status"] for each in told} == {200}


def test_contacts_made_elsewhere_count_against_caps(own_shop: Path, open_shop: Serve) -> None:
    text = (own_shop / "workspace.yaml").read_text().replace("  answered:", CAP)
    (own_shop / "workspace.yaml").write_text(text)
    with open_shop() as client:
        for number in range(2):
            said: Body = {"contact_id": f"x{number}", "customer": "ann", "channel": "email"}
            answer = post(client, "/v1/contacts", **said, at=AT.isoformat())
            assert (answer["overruns"], answer["replayed"]) == ([], False)
        again = post(client, "/v1/contacts", **said, at=AT.isoformat())
        assert again == answer | {"replayed": True}
        post(client, "/v1/contacts", 422, **said | {"channel": "web"}, at=AT.isoformat())
        made = decide(client)
        assert made["reason"] == "all_barred"
        found = whole(client, made)
        assert any("2 of 2" in (reason or "") for reason in found["mask"])
        over = post(client, "/v1/contacts", **said | {"contact_id": "x2"}, at=AT.isoformat())
        assert {each["guardrail"] for each in over["overruns"]} == {"few"}
        assert {each["agent"] for each in over["overruns"]} == {"care", "sales"}
        other = decide(client, customer="bob")
        assert other["action"]["id"] != "none"


def test_a_contact_of_an_unknown_channel_is_refused(shop_client: httpx.Client) -> None:
    said: Body = {"contact_id": "x", "customer": "ann", "channel": "emial", "at": AT.isoformat()}
    refused = post(shop_client, "/v1/contacts", 422, **said)
    assert "did you mean 'email'?" in refused["detail"]
    said |= {"channel": "email", "agent": "slaes"}
    refused = post(shop_client, "/v1/contacts", 404, **said)
    assert refused["detail"] == "there is no agent 'slaes'; did you mean 'sales'?"
