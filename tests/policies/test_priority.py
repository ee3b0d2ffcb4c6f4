from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from agents.context import Context, FeatureValue
from agents.errors import SnapshotError, UnknownNameError
from agents.mask import Mask
from agents.revision import Revision
from agents.spec import Agent, Workspace
from policies.base import Distribution, Label, Lesson
from policies.priority import Priority

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
OPEN = Mask((None,) * 4)
K = 20.0  # the strength of the belief


def shop(**settings: object) -> Revision:
    """Offers a (free), b (costs 0.5) and c (is itself worth 2), by text message."""
    workspace = {
        "workspace": "shop", "currency": "EUR", "zone": "UTC", "channels": {"sms": {}},
        "customer": {
            "vip": {"type": "boolean"},
            "likes_b": {"type": "number", "min": 0, "max": 1, "feature": False},
            "age": {"type": "number", "min": 0, "max": 120},
        },
    }  # fmt: skip
    offer = {"kind": "promotion", "variants": {"v": {"text": "Hi"}}, "channels": ["sms"]}
    agent = {
        "agent": "sales",
        "outcomes": {
            "clicked": {"value": 100, "window": "1d"},
            "bought": {"value": 50, "window": "7d", "metric": "primary"},
            "left": {"value": -10, "window": "7d"},
        },
        "offers": {"a": offer, "b": offer | {"cost": 0.5}, "c": offer | {"value": 2}},
        "policy": {"learner": "priority", "settings": settings},
    }
    return Revision(
        Workspace.model_validate_json(json.dumps(workspace)),
        Agent.model_validate_json(json.dumps(agent)),
    )


def answer(policy: Priority, mask: Mask = OPEN, **features: FeatureValue) -> Distribution:
    return policy.distribution(Context("ann", AT, features), mask)


def teach(policy: Priority, action: int, happened: int, not_yet: int) -> None:
    labels = [Label("bought", True, happened), Label("bought", False, not_yet)]
    context = Context("ann", AT, {})
    policy.update([Lesson(context, OPEN, action, 1.0, (label,)) for label in labels])


def test_the_greatest_value_times_rate_wins_and_the_own_value_counts() -> None:
    policy = Priority.create(shop())
    assert answer(policy).probabilities.tolist() == [0, 0, 0, 1]
    worth = 0.02 * (100 + 50 - 10)
    np.testing.assert_allclose(answer(policy).expected, [0, worth, worth - 0.5, worth])
    teach(policy, 1, 30, 50)
    assert answer(policy).probabilities.tolist() == [0, 1, 0, 0]
    rate = (30 + K * 0.02) / (80 + K)
    assert answer(policy).expected[1] == pytest.approx(50 * rate + 0.02 * 90)


def test_equals_share_and_what_is_barred_does_not_count() -> None:
    policy = Priority.create(shop(levers={"c": 0}))
    assert answer(policy).probabilities.tolist() == [0, 1, 0, 0]
    tied = Priority.create(shop(levers={"b": 0, "c": 0}))
    without_a = Mask(("no", "no", None, None))
    assert answer(tied, without_a).probabilities.tolist() == [0, 0, 0.5, 0.5]


def test_none_wins_when_no_score_is_over_0() -> None:
    policy = Priority.create(shop(levers={"b": 0, "c": 0}))
    assert answer(policy, Mask((None, "no", None, None))).probabilities.tolist() == [1, 0, 0, 0]
    teach(policy, 0, 100, 0)  # all buy when left alone
    assert answer(policy).probabilities.tolist() == [1, 0, 0, 0]
    assert answer(policy, Mask(("no", None, None, None))).probabilities.tolist() == [0, 0, 0.5, 0.5]


def test_levers_multiply() -> None:
    policy = Priority.create(shop(levers={"a": 2}))  # a 2 x 2.8, b 2.3, c 4.8
    assert answer(policy).probabilities.tolist() == [0, 1, 0, 0]


def test_a_score_replaces_the_rate_of_the_goal_where_the_customer_has_one() -> None:
    policy = Priority.create(shop(scores={"b": "likes_b"}))
    assert answer(policy, likes_b=0.5).probabilities.tolist() == [0, 0, 1, 0]
    assert answer(policy, likes_b=0.5).expected[2] == pytest.approx(0.5 * 50 + 0.02 * 90 - 0.5)
    assert answer(policy, likes_b=0.0).probabilities.tolist() == [0, 0, 0, 1]
    assert answer(policy).probabilities.tolist() == [0, 0, 0, 1]


def test_the_context_weighs_where_it_is_exactly_true() -> None:
    policy = Priority.create(shop(context={"a": "customer.vip"}, context_weight=3))
    assert answer(policy, vip=True).probabilities.tolist() == [0, 1, 0, 0]
    assert answer(policy, vip=False).probabilities.tolist() == [0, 0, 0, 1]
    assert answer(policy).probabilities.tolist() == [0, 0, 0, 1]


def test_taking_back_leaves_what_was_before() -> None:
    policy = Priority.create(shop())
    teach(policy, 1, 3, 5)
    before = policy.to_bytes()
    teach(policy, 1, 2, 1)
    assert policy.to_bytes() != before
    teach(policy, 1, -2, -1)
    assert policy.to_bytes() == before


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"levers": {"d": 1}}, UnknownNameError,
         "levers.d: 'd' is no offer; use one of: a, b, c"),
        ({"levers": {"a": -1}}, ValueError,
         "levers.a: expected a number from 0 to 1000, got -1"),
        ({"levers": {"a": "x"}}, ValueError,
         "levers.a: expected a number from 0 to 1000, got 'x'"),
        ({"levers": 2}, ValueError, "levers: expected an offer: a number each, got 2"),
        ({"scores": {"b": "likes_c"}}, UnknownNameError,
         "scores.b: 'likes_c' is no customer field of numbers with min 0 and max 1; did you mean"
         " 'likes_b'?"),
        ({"scores": {"b": "age"}}, UnknownNameError,
         "scores.b: 'age' is no customer field of numbers with min 0 and max 1; use one of:"
         " likes_b"),
        ({"context": {"a": "customer.vipp"}}, ValueError,
         "context.a: 1:9: undeclared reference to 'customer.vipp'; did you mean 'customer.vip'?"
         " (in 'customer.vipp')"),
        ({"context": {"a": 1}}, ValueError, "context.a: expected a CEL expression, got 1"),
        ({"context_weight": "much"}, ValueError,
         "context_weight: expected a number from 0 to 1000, got 'much'"),
        ({"lever": {}}, UnknownNameError,
         "lever: priority has no setting 'lever'; did you mean 'levers'?"),
    ],
)  # fmt: skip
def test_refused(settings: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        Priority.create(shop(**settings))
    assert str(caught.value) == f"policy.settings.{message}"


def test_a_state_without_a_part_is_refused() -> None:
    state = Priority.create(shop()).to_bytes().replace(b'"actions', b'"actionz')
    state = state.replace(b'\\"actions', b'\\"actionz')
    with pytest.raises(SnapshotError, match="the state of priority lacks a part: KeyError"):
        Priority.from_bytes(state, shop())
