from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pytest

from agents.context import Contact, PastEvent
from agents.decisions import Decision, OutcomeEvent, Reason, read_context
from agents.groups import Group
from agents.log import SCHEMA, hash_customer, log_row, log_table
from agents.revision import Revision

DAY = timedelta(days=1)
KEY = b"a secret of the log"
CUSTOMER = "ann.smith@example.org"


@pytest.fixture
def revision(build: Callable[..., Revision]) -> Revision:
    return build()


@pytest.fixture
def decision(revision: Revision, features: dict[str, object], noon: datetime) -> Decision:
    contact = Contact(noon - DAY, "other", "x", "service", "sms", "x/y@sms")
    known = features | {"consent_email": False}
    context = revision.context(CUSTOMER, noon, known, [contact])
    mask = revision.mask(context)
    return Decision(
        decision_id="d1", at=noon, agent="helper", revision=revision.id, policy="uniform",
        snapshot="", group=Group.RANDOM, reason=Reason.RANDOM, context=context,
        actions=tuple(action.id for action in revision.actions), mask=mask,
        distribution=mask.allowed / np.count_nonzero(mask.allowed),
        expected=np.full(6, np.nan), action=5, floor=1.0, explored=False, send_at=noon,
    )  # fmt: skip


def row(
    decision: Decision, revision: Revision, now: datetime, *events: OutcomeEvent
) -> dict[str, Any]:
    return log_row(7, decision, revision, events, now=now, key=KEY)


def test_a_row_fits_the_schema_and_comes_back_from_the_table(
    decision: Decision, revision: Revision, noon: datetime
) -> None:
    events = [
        OutcomeEvent("o2", "d1", "complained", noon + DAY),
        OutcomeEvent("o1", "d1", "bought", noon + timedelta(hours=1)),
        OutcomeEvent("o3", "d1", "bought", noon + 2 * DAY),  # `once` has been counted
        OutcomeEvent("o4", "d1", "complained", noon + 3 * DAY),  # too late
    ]
    made = row(decision, revision, noon + 8 * DAY, *events)
    assert set(made) == set(SCHEMA.names)
    table = log_table([made])
    table.validate(full=True)
    assert table.schema == SCHEMA
    for field in SCHEMA:
        assert field.nullable or table.column(field.name).null_count == 0
    back = table.to_pylist()[0]
    assert back["outcomes"] == [
        {"outcome": "bought", "value": 10.0, "at": noon + timedelta(hours=1)},
        {"outcome": "complained", "value": -4.0, "at": noon + DAY},
    ]
    assert back["reward"] == 10.0 - 4.0 - 1.5
    assert back["position"] == 7
    assert back["at"] == back["send_at"] == noon
    assert (back["group"], back["reason"]) == ("random", "random_group")
    assert (back["action"], back["propensity"]) == ("sale/plain@sms", 0.25)
    assert sum(back["distribution"]) == 1.0
    assert [reason is None for reason in back["mask"]] == [p > 0 for p in back["distribution"]]
    assert back["expected"] == [None] * 6
    context = orjson.loads(back["context"])
    assert context["features"] == dict(decision.context.features)
    assert [entry["action"] for entry in context["contacts"]] == ["x/y@sms"]


@pytest.mark.parametrize(
    ("after", "closed"),
    [(DAY, False), (7 * DAY - timedelta(microseconds=1), False), (7 * DAY, True)],
)
def test_a_row_is_open_while_an_outcome_could_still_count(
    decision: Decision, revision: Revision, noon: datetime, after: timedelta, closed: bool
) -> None:
    last = OutcomeEvent("o1", "d1", "bought", noon + after)
    made = row(decision, revision, noon + after, last)
    assert made["closed_at"] == (noon + 7 * DAY if closed else None)
    assert (made["outcomes"] == []) is closed
    log_table([made]).validate(full=True)


def test_none_has_a_row_without_a_sending_instant(
    decision: Decision, revision: Revision, noon: datetime
) -> None:
    record = decision.to_record() | {"action": 0, "send_at": None}
    made = row(Decision.from_record(record), revision, noon)
    assert (made["action"], made["send_at"], made["reward"]) == ("none", None, 0.0)
    log_table([made]).validate(full=True)


def test_how_several_agents_were_settled_is_in_the_row(
    decision: Decision, revision: Revision, noon: datetime
) -> None:
    assert row(decision, revision, noon)["arbitration"] is None
    settled = {"chosen": "helper", "bids": [], "explored": False, "cost": 0.5}
    made = log_row(7, decision, revision, [], now=noon, key=KEY, arbitration=settled)
    (back,) = log_table([made])["arbitration"].to_pylist()
    assert orjson.loads(back) == settled
    without = {name: value for name, value in made.items() if name != "arbitration"}
    assert log_table([without])["arbitration"].to_pylist() == [None]


def test_the_customer_is_nowhere_in_the_row(
    decision: Decision, revision: Revision, noon: datetime
) -> None:
    made = row(decision, revision, noon)
    text = orjson.dumps(made, default=str).decode()
    assert CUSTOMER not in text
    assert "smith" not in text
    assert made["customer"] == hash_customer(KEY, CUSTOMER)


def test_the_hash_depends_on_key_and_customer_and_on_nothing_else() -> None:
    golden = "12edfc153205c255e25ed5946dae9ead"
    assert hash_customer(KEY, CUSTOMER) == golden
    assert hash_customer(KEY, "bob") != golden
    assert hash_customer(b"another", CUSTOMER) != golden


def test_an_empty_log_has_the_schema() -> None:
    assert log_table([]).schema == SCHEMA


def test_the_context_of_a_row_is_the_decisions_own(
    decision: Decision, revision: Revision, noon: datetime
) -> None:
    past = PastEvent(noon - DAY, "complained", "d0", "helper", "sale", "promotion", "sms", "x")
    context = replace(decision.context, events=(past,), usage={"a@1": 2.0}, placement="banner")
    made = row(replace(decision, context=context), revision, noon)
    record = orjson.loads(made["context"])
    again = read_context(record, customer=context.customer, at=context.at)
    assert again == context


def test_outcomes_in_a_row_have_their_weighed_amounts(
    build: Callable[..., Revision], decision: Decision, noon: datetime
) -> None:
    paid = build(
        outcomes="""
  sale:
    event: paid
    value: {property: amount, min: 0, max: 90, typical: 20}
    weight: 0.5
    window: 7d"""
    )
    event = OutcomeEvent("o1", "d1", "paid", noon + DAY, {"amount": 30.0})
    made = row(decision, paid, noon + 8 * DAY, event)
    assert made["outcomes"] == [{"outcome": "sale", "value": 15.0, "at": noon + DAY}]
    assert made["reward"] == 15.0 - 1.5
    log_table([made]).validate(full=True)
