from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import orjson
import pytest

from agents.context import Contact, Context, FeatureValue, PastEvent
from agents.decisions import Decision, OutcomeEvent, Reason
from agents.groups import Group
from agents.mask import Mask
from agents.revision import Revision


@pytest.fixture
def decision(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> Decision:
    """A decision of the small agent: email is barred, a help text is sent."""
    revision = build()
    contact = Contact(noon - timedelta(days=3), "other", "x", "service", "sms", "x/y@sms")
    known = features | {"consent_email": False}
    context = revision.context("ann", noon + timedelta(microseconds=1), known, [contact])
    return Decision(
        decision_id="d1",
        at=context.at,
        agent="helper",
        revision=revision.id,
        policy="uniform",
        snapshot="s1",
        group=Group.TREATMENT,
        reason=Reason.POLICY,
        context=context,
        actions=tuple(action.id for action in revision.actions),
        mask=revision.mask(context),
        distribution=np.array([0.1, 0.0, 1 / 3, 0.0, 0.2, 1 - 0.3 - 1 / 3]),
        expected=np.array([0.0, np.nan, 1e-300, np.nan, 0.1 + 0.2, -1.5]),
        action=2,
        floor=0.05,
        explored=True,
        send_at=noon + timedelta(hours=1),
    )


def test_a_record_goes_through_json_and_back_bit_for_bit(decision: Decision) -> None:
    record = orjson.loads(orjson.dumps(decision.to_record()))
    again = Decision.from_record(record)
    assert again == decision
    assert again.distribution.tobytes() == decision.distribution.tobytes()
    np.testing.assert_array_equal(again.expected, decision.expected)  # NaN where it was NaN
    assert again.distribution.dtype == again.expected.dtype == np.float64
    assert again.context == decision.context
    assert again.mask == decision.mask
    assert (again.group, again.reason) == (Group.TREATMENT, Reason.POLICY)
    assert isinstance(again.group, Group)
    assert again.at == decision.at
    assert again.send_at == decision.send_at
    assert orjson.dumps(again.to_record()) == orjson.dumps(decision.to_record())


def test_a_decision_of_none_goes_through_json_too(decision: Decision) -> None:
    held = replace(
        decision, action=0, send_at=None, group=Group.CONTROL, reason=Reason.CONTROL, snapshot=""
    )
    assert Decision.from_record(orjson.loads(orjson.dumps(held.to_record()))) == held


@pytest.mark.parametrize(
    "change",
    [
        {"action": 4},
        {"floor": 0.06},
        {"distribution": np.array([0.1, 0.0, 0.3, 0.0, 0.3, 0.3])},
        {"expected": np.zeros(6)},
        {"mask": Mask((None,) * 6)},
        {"group": Group.RANDOM},
        {"send_at": None},
    ],
)
def test_decisions_that_differ_anywhere_are_not_equal(
    decision: Decision, change: dict[str, object]
) -> None:
    assert replace(decision) == decision
    assert hash(replace(decision)) == hash(decision)
    changed = Decision.from_record(decision.to_record() | _record(change))
    assert changed != decision
    assert decision != "d1"


def _record(change: dict[str, object]) -> dict[str, object]:
    """Write one changed field as a record has it."""
    (name, value), *_ = change.items()
    if isinstance(value, np.ndarray):
        return {name: value.tolist()}
    return {name: list(value.reasons) if isinstance(value, Mask) else value}


def test_the_propensity_is_the_probability_of_the_drawn_action(decision: Decision) -> None:
    assert decision.propensity == 1 / 3
    assert decision.action_id == "help/short@sms"
    assert type(decision.propensity) is float


def test_a_decision_makes_the_contact_that_is_sent(
    build: Callable[..., Revision], decision: Decision
) -> None:
    action = build().actions[decision.action]
    assert decision.send_at is not None
    assert decision.contact(action) == Contact(
        decision.send_at, "helper", "help", "service", "sms", "help/short@sms", (), "d1"
    )
    assert replace(decision, action=0, send_at=None).contact(build().actions[0]) is None


def test_an_outcome_goes_through_json_and_back(noon: datetime) -> None:
    event = OutcomeEvent("o1", "d1", "bought", noon)
    assert OutcomeEvent.from_record(orjson.loads(orjson.dumps(event.to_record()))) == event


def test_every_kind_of_feature_and_the_past_go_through_json(
    decision: Decision, noon: datetime
) -> None:
    features: dict[str, FeatureValue] = {
        "when": noon,
        "likes": ("a", "b"),
        "empty": (),
        "loyal": True,
        "name": "Ann",
        "age": 3,
        "bill": 2.5,
    }
    event = PastEvent(noon, "opened", "d0", "helper", "box", "promotion", "sms", "x", ("help",))
    contact = Contact(noon, "helper", "box", "promotion", "sms", "x", ("help", "sale"), "d0")
    context = Context("ann", decision.at, features, (contact,), (event,), {"a@1": 2.0}, "top")
    known = replace(decision, context=context)
    again = Decision.from_record(orjson.loads(orjson.dumps(known.to_record())))
    assert again == known
    assert again.context == context
