"""Every learner can be asked why; what it answers fits the decision that was made."""

from __future__ import annotations

import json

import numpy as np
import pytest

from agents.decisions import Decision
from agents.groups import Group
from agents.revision import Revision
from policies.base import Policy
from policies.decide import choose, hold_out
from policies.explaining.insight import Insight, explain_choice, explain_decision
from policies.hybrid import HybridThompson
from policies.models.belief import Linear
from policies.registry import POLICIES
from policies.samples import sample_contexts, sample_lessons


def decided(
    revision: Revision, policy: Policy, count: int, group: Group = Group.TREATMENT
) -> list[Decision]:
    found = []
    for number, context in enumerate(sample_contexts(revision, count, np.random.default_rng(3))):
        mask = revision.mask(context)
        mask = hold_out(mask) if group is Group.CONTROL else mask
        decision = choose(
            revision, policy, context, mask, group,
            decision_id=str(number), secret=b"s", snapshot="",
        )  # fmt: skip
        found.append(decision)
    return found


def taught(revision: Revision, name: str = "hybrid_thompson") -> Policy:
    policy = POLICIES[name].create(revision)
    policy.update(sample_lessons(revision, 300, np.random.default_rng(1)))
    return policy


@pytest.fixture(scope="module")
def told(revision: Revision) -> list[tuple[Decision, Insight]]:
    policy = taught(revision)
    return [(d, explain_decision(revision, policy, d)) for d in decided(revision, policy, 12)]


@pytest.mark.parametrize("name", POLICIES)
def test_every_learner_answers(revision: Revision, name: str) -> None:
    policy = taught(revision, name)
    before = policy.to_bytes()
    for decision in decided(revision, policy, 3):
        insight = explain_decision(revision, policy, decision)
        assert insight.action == decision.action_id
        assert insight.explored == decision.explored
        chances = {option.action: option.probability for option in insight.options}
        assert chances == {
            decision.actions[i]: decision.distribution[i] for i in decision.mask.indices.tolist()
        }
        valued = all(option.expected is not None for option in insight.options)
        assert (insight.best is not None) == valued
        assert valued or not insight.changes
        assert bool(insight.contributions) <= isinstance(policy, Linear)
        assert json.loads(json.dumps(insight.to_record(), allow_nan=False))["action"]
    assert policy.to_bytes() == before


def test_options_are_those_allowed_likeliest_first(told: list[tuple[Decision, Insight]]) -> None:
    for decision, insight in told:
        chances = [option.probability for option in insight.options]
        assert len(chances) == len(decision.mask.indices)
        assert sum(chances) == pytest.approx(1.0, abs=1e-12)
        assert chances == sorted(chances, reverse=True)
        for option in insight.options:
            position = decision.actions.index(option.action)
            assert option.expected == decision.expected[position]
            assert option.low is not None
            assert option.mean is not None
            assert option.high is not None
            assert option.low < option.mean < option.high


def test_the_drawn_action_is_compared_with_the_best_other(
    told: list[tuple[Decision, Insight]],
) -> None:
    explored = 0
    for _, insight in told:
        expected = {option.action: option.expected or 0.0 for option in insight.options}
        if insight.runner_up is None:
            assert len(expected) == 1
            assert (insight.gap, insight.contributions) == (None, ())
            continue
        mine = expected.pop(insight.action)
        assert expected[insight.runner_up] == max(expected.values())
        assert insight.gap == mine - expected[insight.runner_up]
        assert insight.explored == (insight.gap < 0.0)
        best = insight.runner_up if insight.explored else insight.action
        assert expected.get(insight.best or "", mine) == (expected | {insight.action: mine})[best]
        assert sum(entry.worth for entry in insight.contributions) == pytest.approx(
            insight.gap, abs=1e-9
        )
        explored += insight.explored
    assert 0 < explored < len(told)


def test_changes_are_told_smallest_first(told: list[tuple[Decision, Insight]]) -> None:
    assert any(insight.changes for _, insight in told)
    for decision, insight in told:
        sizes = [change.size for change in insight.changes]
        assert sizes == sorted(sizes)
        fields = [change.field for change in insight.changes]
        assert len(set(fields)) == len(fields)
        for change in insight.changes:
            assert change.before == decision.context.features.get(change.field)
            assert change.before != change.after
            assert change.action != insight.best


def test_a_held_out_customer_has_one_option_and_no_change(revision: Revision) -> None:
    policy = taught(revision)
    for decision in decided(revision, policy, 2, Group.CONTROL):
        insight = explain_decision(revision, policy, decision)
        assert [option.action for option in insight.options] == ["none"]
        assert (insight.runner_up, insight.contributions, insight.changes) == (None, (), ())


def test_the_random_group_is_told_what_the_learner_expects(revision: Revision) -> None:
    policy = taught(revision)
    for decision in decided(revision, policy, 2, Group.RANDOM):
        insight = explain_decision(revision, policy, decision)
        assert len({option.probability for option in insight.options}) == 1
        assert all(option.expected is not None for option in insight.options)


def test_a_choice_not_yet_made_is_the_best_one(revision: Revision) -> None:
    policy = HybridThompson.create(revision)
    policy.update(sample_lessons(revision, 300, np.random.default_rng(1)))
    for context in sample_contexts(revision, 2, np.random.default_rng(9)):
        mask = revision.mask(context)
        insight = explain_choice(revision, policy, context, mask)
        assert insight.action == insight.best
        assert not insight.explored
        floor = revision.agent.policy.floor / len(insight.options)
        assert min(option.probability for option in insight.options) >= floor * (1.0 - 1e-12)


def test_a_choice_without_expected_rewards_is_the_likeliest_one(revision: Revision) -> None:
    policy = taught(revision, "vw_epsilon")
    context = sample_contexts(revision, 1, np.random.default_rng(9))[0]
    insight = explain_choice(revision, policy, context, revision.mask(context))
    assert insight.action == insight.options[0].action
    assert (insight.best, insight.explored) == (None, False)
