from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from agents.context import Context
from agents.errors import SnapshotError
from agents.mask import Mask
from agents.revision import Revision
from agents.spec import Agent, Workspace
from policies.base import Label, Lesson, Policy
from policies.explaining.contributions import contributions
from policies.linear import LinearThompson
from policies.models.belief import Linear, worth
from policies.samples import sample_contexts, sample_lessons, sample_mask
from policies.state import pack, unpack

WithSettings = Callable[[Mapping[str, object]], Revision]


def taught(revision: Revision, count: int = 300) -> LinearThompson:
    policy = LinearThompson.create(revision)
    policy.update(sample_lessons(revision, count, np.random.default_rng(4)))
    return policy


def test_probabilities_are_those_of_independent_normals(revision: Revision) -> None:
    """400,000 joint draws; 5 standard errors of a share of them."""
    policy, rng = taught(revision), np.random.default_rng(2)
    (context,), mask = sample_contexts(revision, 1, rng), sample_mask(revision, rng)
    answer = policy.distribution(context, mask)
    z, values = policy._z(context), policy._values
    _, variance = policy._models.predict(z, values)
    sd = 0.1 * np.sqrt((values**2).sum() * variance[mask.indices])
    draws = rng.normal(answer.expected[mask.indices], sd, size=(400_000, len(sd)))
    shares = np.bincount(draws.argmax(axis=1), minlength=len(sd)) / len(draws)
    se = np.sqrt(np.maximum(shares, 1e-4) / len(draws))
    assert (np.abs(answer.probabilities[mask.indices] - shares) < 5 * se + 1e-3).all()


def test_alpha_0_is_greedy(with_settings: WithSettings) -> None:
    revision, rng = with_settings({"alpha": 0.0}), np.random.default_rng(3)
    policy = taught(revision)
    for context in sample_contexts(revision, 5, rng):
        mask = sample_mask(revision, rng)
        answer = policy.distribution(context, mask)
        best = mask.indices[answer.expected[mask.indices].argmax()]
        assert answer.probabilities[best] > 1.0 - 1e-6


def test_beliefs_are_those_that_it_draws_from(revision: Revision) -> None:
    """Mean and sd of the reward, worked out from the sums without the learner's own code."""
    policy = taught(revision)
    (context,) = sample_contexts(revision, 1, np.random.default_rng(5))
    z, values, models = policy._z(context), policy._values, policy._models
    costs = np.array([action.cost for action in revision.actions])
    found = worth(policy.beliefs(context), values, costs)
    full = models.gram + models.ridge * np.eye(len(z))  # (A, C, C)
    mean = np.stack([values @ np.linalg.solve(g, r.T).T @ z for g, r in
                     zip(full, models.right, strict=True)])  # fmt: skip
    sd = 0.1 * np.sqrt([(values**2).sum() * z @ np.linalg.solve(g, z) for g in full])
    np.testing.assert_allclose(found.mean, mean - costs, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.low, mean - costs - 1.6448536269514722 * sd, rtol=1e-7)
    np.testing.assert_allclose(found.high, mean - costs + 1.6448536269514722 * sd, rtol=1e-7)


def test_terms_add_up_to_the_mean_also_right_after_a_lesson(revision: Revision) -> None:
    policy: Policy = taught(revision)
    assert isinstance(policy, Linear)
    rng = np.random.default_rng(6)
    (context,) = sample_contexts(revision, 1, rng)
    policy.update(sample_lessons(revision, 20, rng))
    told = [policy.terms(context, action) for action in range(len(revision.actions))]
    mean = policy.beliefs(context).mean  # (O, A)
    for action, terms in enumerate(told):
        assert next(iter(terms)) == f"action {revision.action_ids[action]}"
        np.testing.assert_allclose(sum(terms.values()), mean[:, action], rtol=1e-12, atol=1e-15)


def test_contributions_add_up_to_the_lead(revision: Revision) -> None:
    policy, rng = taught(revision), np.random.default_rng(7)
    for context in sample_contexts(revision, 5, rng):
        expected = policy.distribution(context, Mask((None,) * len(revision.actions))).expected
        one, other = rng.choice(len(expected), 2, replace=False).tolist()
        found = contributions(revision, policy, context, one, other)
        assert {"action", "customer", "moment"} <= {entry.kind for entry in found}
        lead = expected[one] - expected[other]
        assert sum(entry.worth for entry in found) == pytest.approx(lead, abs=1e-9)


def one_offer() -> Revision:
    workspace = {"workspace": "w", "currency": "EUR", "zone": "UTC", "channels": {"sms": {}},
                 "customer": {"vip": {"type": "boolean"}}}  # fmt: skip
    offer = {"kind": "service", "cost": 1, "variants": {"v": {"text": "Hi"}}, "channels": ["sms"]}
    outcomes = {"a": {"value": 4, "window": "1d"}, "b": {"value": -8, "window": "1d"}}
    agent = {"agent": "x", "outcomes": outcomes, "offers": {"o": offer},
             "policy": {"learner": "linear_thompson"}}  # fmt: skip
    return Revision(
        Workspace.model_validate_json(json.dumps(workspace)),
        Agent.model_validate_json(json.dumps(agent)),
    )


def test_a_rate_settles_where_it_is_said_to() -> None:
    """With rates .4 and .2, each is learned as itself / (1 + their mean)."""
    policy, lessons = LinearThompson.create(one_offer()), []
    context = Context("ann", sample_contexts(one_offer(), 1, np.random.default_rng(0))[0].at, {})
    for number in range(5_000):
        lesson = Lesson.decision(context, Mask((None, None)), 1, 0.5, ["a", "b"])
        lessons.append(lesson)
        if number % 5 in (0, 2):
            lessons.append(lesson.then(Label("a", happened=True)))
        if number % 5 == 1:
            lessons.append(lesson.then(Label("b", happened=True)))
    policy.update(lessons)
    expected = policy.distribution(context, Mask((None, None))).expected
    assert expected[1] == pytest.approx((4 * 0.4 - 8 * 0.2) / 1.3 - 1.0, abs=1e-3)
    assert expected[0] == 0.0


def test_a_label_taken_back_leaves_the_sums(revision: Revision) -> None:
    policy = taught(revision)
    (lesson, *_) = sample_lessons(revision, 1, np.random.default_rng(9))
    before = policy._models.gram.copy(), policy._models.right.copy()
    for weight in (1.0, -1.0):
        labels = [Label(name, happened=i == 0, weight=weight) for i, name in enumerate(
            revision.agent.outcomes)]  # fmt: skip
        policy.update([lesson.then(*labels)])
        changed = np.abs(policy._models.gram - before[0]).max()
        assert (changed > 0.1) == (weight > 0.0)
    np.testing.assert_allclose(policy._models.gram, before[0], atol=1e-12)
    np.testing.assert_allclose(policy._models.right, before[1], atol=1e-12)


def test_too_many_actions_for_so_many_columns(revision: Revision) -> None:
    offers = {
        f"offer_{n}": offer for n in range(60) for offer in [revision.agent.offers["roaming_pass"]]
    }
    agent = revision.agent.model_copy(update={"offers": offers, "guardrails": {}})
    large = Revision(revision.workspace, agent)
    columns = 1 + len(LinearThompson.create(revision)._encoder.names)
    with pytest.raises(ValueError, match="use hybrid_thompson") as caught:
        for _ in range(5):
            large = Revision(large.workspace, large.agent.model_copy(update={"offers": {
                **large.agent.offers,
                **{f"more_{len(large.actions)}_{n}": offers["offer_0"] for n in range(150)},
            }}))  # fmt: skip
            LinearThompson.create(large)
    size = len(large.actions) * columns**2
    assert str(caught.value).startswith(
        f"policy.learner: linear_thompson holds {size:,} numbers for {len(large.actions):,}"
        f" actions and {columns:,} columns, and at most 600,000 are accepted; use hybrid_thompson"
    )


@pytest.mark.parametrize("part", ["gram", "right"])
def test_damaged_sums_are_refused(revision: Revision, part: str) -> None:
    facts, arrays = unpack("linear_thompson", taught(revision).to_bytes())
    for damaged in (arrays[part][1:], np.full_like(arrays[part], np.nan)):
        state = pack("linear_thompson", facts, arrays | {part: damaged})
        with pytest.raises(SnapshotError, match="expected finite float64 numbers of shape"):
            LinearThompson.from_bytes(state, revision)
    without = {name: array for name, array in arrays.items() if name != part}
    with pytest.raises(SnapshotError, match="the state of linear_thompson lacks a part"):
        LinearThompson.from_bytes(pack("linear_thompson", facts, without), revision)
