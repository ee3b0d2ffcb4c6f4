from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
import pytest
from scipy.stats import chisquare

from agents.context import Context
from agents.decisions import Decision, Reason
from agents.groups import Group
from agents.revision import Revision
from agents.spec import PolicySpec
from policies.base import Policy
from policies.decide import choose, decide, draw, hold_out, replay, uniform_draw
from policies.hybrid import HybridThompson
from policies.registry import POLICIES
from policies.samples import sample_contexts, sample_lessons, sample_mask

SECRET = b"a secret for tests"


@pytest.fixture(scope="module")
def policy(revision: Revision) -> HybridThompson:
    learner = HybridThompson.create(revision)
    learner.update(sample_lessons(revision, 300, np.random.default_rng(0)))
    return learner


def in_group(revision: Revision, group: Group, count: int) -> list[Context]:
    contexts = sample_contexts(revision, 40 + 8 * count, np.random.default_rng(1))
    found = [c for c in contexts if revision.group(c) is group]
    return found[:count]


def decided(revision: Revision, policy: Policy, contexts: list[Context]) -> list[Decision]:
    return [
        decide(revision, policy, context, decision_id=f"d{n}", secret=SECRET, snapshot="s")
        for n, context in enumerate(contexts)
    ]


def test_uniform_draw_is_uniform_and_keyed() -> None:
    u = np.array([uniform_draw(SECRET, f"d{n}") for n in range(20_000)])
    assert 0.0 <= u.min() < u.max() < 1.0
    counts = np.bincount((u * 50).astype(int), minlength=50)
    assert chisquare(counts).pvalue > 1e-3
    assert uniform_draw(b"other", "d0") != u[0] == uniform_draw(SECRET, "d0")


def test_draw_never_takes_what_has_probability_zero() -> None:
    distribution = np.array([0.0, 0.3, 0.0, 0.7, 0.0])
    for u in (0.0, np.nextafter(0.3, 0), 0.3, np.nextafter(1.0, 0)):
        assert draw(distribution, float(u)) in (1, 3)
    assert draw(np.array([0.0, 1.0, 0.0]), np.nextafter(1.0, 0)) == 1


def test_draws_follow_the_logged_distribution(revision: Revision, policy: HybridThompson) -> None:
    rng = np.random.default_rng(2)
    (context,), mask = sample_contexts(revision, 1, rng), sample_mask(revision, rng)
    first = choose(
        revision, policy, context, mask, Group.TREATMENT,
        decision_id="d", secret=SECRET, snapshot="",
    )  # fmt: skip
    draws = 20_000
    drawn = [draw(first.distribution, uniform_draw(SECRET, f"d{n}")) for n in range(draws)]
    counts = np.bincount(drawn, minlength=len(revision.actions))
    assert not counts[~mask.allowed].any()
    expected = first.distribution[mask.allowed] * draws
    assert chisquare(counts[mask.allowed], expected).pvalue > 1e-3


def test_mean_importance_weight_of_uniform_is_one(
    revision: Revision, policy: HybridThompson
) -> None:
    rng = np.random.default_rng(3)
    weights = []
    for number, context in enumerate(sample_contexts(revision, 3_000, rng)):
        mask = sample_mask(revision, rng)
        decision = choose(
            revision, policy, context, mask, Group.TREATMENT,
            decision_id=f"d{number}", secret=SECRET, snapshot="",
        )  # fmt: skip
        weights.append(1.0 / len(mask.indices) / decision.propensity)
    error = np.std(weights) / np.sqrt(len(weights))
    assert abs(np.mean(weights) - 1.0) < 4 * error
    assert error < 0.1  # small enough for the line above to say something


def test_replay_gives_the_same_distribution_and_draw(
    revision: Revision, policy: HybridThompson
) -> None:
    contexts = sample_contexts(revision, 200, np.random.default_rng(4))
    again = HybridThompson.from_bytes(policy.to_bytes(), revision)
    for decision in decided(revision, policy, contexts):
        logged = Decision.from_record(decision.to_record())
        repeated = replay(logged, revision, again, SECRET)
        assert np.array_equal(repeated.distribution, decision.distribution)
        assert np.array_equal(repeated.expected, decision.expected, equal_nan=True)
        assert repeated.to_record() == decision.to_record()


def test_control_gets_none_and_says_why(revision: Revision, policy: HybridThompson) -> None:
    for decision in decided(revision, policy, in_group(revision, Group.CONTROL, 20)):
        assert (decision.action_id, decision.propensity) == ("none", 1.0)
        assert (decision.reason, decision.policy, decision.snapshot) == (
            Reason.CONTROL, "uniform", "",
        )  # fmt: skip
        assert all(reason is not None for reason in decision.mask.reasons[1:])


def test_control_gets_none_from_an_agent_that_always_acts(
    revision: Revision, policy: HybridThompson
) -> None:
    agent = revision.agent.model_copy(update={"always_act": True})
    other = Revision(revision.workspace, agent)
    decisions = decided(other, policy, in_group(other, Group.CONTROL, 10))
    assert {decision.action_id for decision in decisions} == {"none"}


def test_random_is_uniform_over_the_allowed(revision: Revision, policy: HybridThompson) -> None:
    for decision in decided(revision, policy, in_group(revision, Group.RANDOM, 20)):
        allowed = decision.mask.allowed
        assert np.ptp(decision.distribution[allowed]) == 0.0
        assert not decision.distribution[~allowed].any()
        assert decision.floor == 1.0
        assert decision.reason in (Reason.RANDOM, Reason.ALL_BARRED)


def test_treatment_keeps_the_floor(revision: Revision, policy: HybridThompson) -> None:
    floor = revision.agent.policy.floor
    for decision in decided(revision, policy, in_group(revision, Group.TREATMENT, 50)):
        allowed = decision.mask.allowed
        least = floor / np.count_nonzero(allowed)
        assert decision.distribution[allowed].min() >= least * (1 - 1e-12)
        assert not decision.distribution[~allowed].any()
        assert decision.mask.allowed[decision.action]
        assert (decision.policy, decision.snapshot) == ("hybrid_thompson", "s")


def test_explored_means_that_a_better_one_was_passed_over(
    revision: Revision, policy: HybridThompson
) -> None:
    contexts = in_group(revision, Group.TREATMENT, 100)
    decisions = decided(revision, policy, contexts)
    for decision in decisions:
        best = decision.expected[decision.mask.allowed].max()
        assert decision.explored == (best > decision.expected[decision.action])
    assert {decision.explored for decision in decisions} == {True, False}


def test_what_expects_nothing_explores_by_passing_over_the_likeliest(revision: Revision) -> None:
    policy = POLICIES["vw_epsilon"].create(revision)
    policy.update(sample_lessons(revision, 50, np.random.default_rng(0)))
    decisions = decided(revision, policy, in_group(revision, Group.TREATMENT, 200))
    for decision in decisions:
        assert np.isnan(decision.expected).all()
        chances = policy.distribution(decision.context, decision.mask).probabilities
        assert decision.explored == (chances.max() > chances[decision.action])
    assert {decision.explored for decision in decisions} == {True, False}


@pytest.mark.parametrize("over", ["actions", "offers"])
def test_chance_alone_explores_nothing(
    revision: Revision, over: Literal["actions", "offers"]
) -> None:
    """An even policy likes nothing best, nor does the random group, which asks no policy."""
    spec = PolicySpec(learner="uniform", floor=0.5, floor_over=over)
    even = Revision(revision.workspace, revision.agent.model_copy(update={"policy": spec}))
    contexts = [*in_group(even, Group.TREATMENT, 20), *in_group(even, Group.RANDOM, 5)]
    decisions = decided(even, POLICIES["uniform"].create(even), contexts)
    assert not any(decision.explored for decision in decisions)


def test_hold_out_keeps_earlier_reasons(revision: Revision) -> None:
    mask = sample_mask(revision, np.random.default_rng(5))
    held = hold_out(mask)
    assert held.reasons[0] is None
    for before, after in zip(mask.reasons[1:], held.reasons[1:], strict=True):
        assert after == (before or "holdout: the customer is in the control group")


def test_draw_is_monotone_in_u() -> None:
    distribution = np.array([0.2, 0.0, 0.5, 0.3])
    positions = [draw(distribution, float(u)) for u in np.linspace(0, 0.999, 500)]
    assert all(a <= b for a, b in pairwise(positions))
