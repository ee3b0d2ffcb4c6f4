"""Nothing is a choice with a value of its own: who buys anyway is not paid for.

Every learner with values has a model of `none` like that of any action, and compares with it. In
this market some are sure to buy as often with a voucher as without; others must be won by one.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from agents.context import Context
from agents.mask import Mask
from agents.revision import Revision
from agents.spec import Agent, Workspace
from policies.base import Label, Lesson, Policy
from policies.registry import POLICIES, VALUELESS
from policies.teaching.discount import Discounting

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
RATES = {"sure": (0.3, 0.3), "open": (0.05, 0.3)}  # of buying, alone and with a voucher
SETTINGS: dict[str, dict[str, object]] = {"beta_thompson": {"segments": ["kind"]}}
EVERYTHING = Mask((None, None))


def market(learner: str) -> Revision:
    workspace = {
        "workspace": "shop", "currency": "EUR", "zone": "UTC", "channels": {"sms": {}},
        "customer": {"kind": {"type": "category", "values": ["sure", "open"]}},
    }  # fmt: skip
    offer = {
        "kind": "promotion",
        "cost": 1,
        "variants": {"v": {"text": "5 off"}},
        "channels": ["sms"],
    }
    agent = {
        "agent": "vouchers", "outcomes": {"bought": {"value": 20, "window": "7d"}},
        "offers": {"voucher": offer},
        "policy": {"learner": learner, "settings": SETTINGS.get(learner, {})},
    }  # fmt: skip
    return Revision(
        Workspace.model_validate_json(json.dumps(workspace)),
        Agent.model_validate_json(json.dumps(agent)),
    )


def taught(learner: str, kinds: list[str]) -> Policy:
    rng, policy = np.random.default_rng(7), POLICIES[learner].create(market(learner))
    lessons = []
    for number in range(6000):
        kind, action = kinds[number % len(kinds)], int(rng.integers(2))
        context = Context(f"c{number}", AT, {"kind": kind})
        lesson = Lesson.decision(context, EVERYTHING, action, 0.5, ["bought"])
        lessons.append(lesson)
        if rng.random() < RATES[kind][action]:
            lessons.append(lesson.then(Label("bought", happened=True)))
    policy.update(lessons)
    return policy


def share_of_none(policy: Policy, kind: str) -> float:
    answer = policy.distribution(Context("new", AT, {"kind": kind}), EVERYTHING)
    return float(answer.probabilities[0])


@pytest.mark.parametrize("learner", sorted(POLICIES.keys() - VALUELESS - {"priority"}))
def test_only_those_who_must_be_won_are_contacted(learner: str) -> None:
    policy = taught(learner, ["sure", "open"])
    assert share_of_none(policy, "sure") > 0.9
    assert share_of_none(policy, "open") < 0.1


@pytest.mark.parametrize(("kind", "share"), [("sure", 1.0), ("open", 0.0)])
def test_priority_knows_one_rate_for_all_and_compares_with_that_of_none(
    kind: str, share: float
) -> None:
    assert share_of_none(taught("priority", [kind]), kind) == share


@pytest.mark.parametrize("learner", ["linear_thompson", "beta_thompson", "priority"])
def test_evidence_that_counts_for_less_leaves_more_open(learner: str) -> None:
    policy = taught(learner, ["open"])
    assert isinstance(policy, Discounting)
    before = policy.distribution(Context("new", AT, {"kind": "open"}), EVERYTHING).expected
    policy.discount(1e-5)
    after = policy.distribution(Context("new", AT, {"kind": "open"}), EVERYTHING).expected
    assert 0.0 < after[1] + 1.0 < 0.7 * (before[1] + 1.0)
