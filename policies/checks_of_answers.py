"""What every policy owes when it answers: plain checks of its distributions.

Each takes a factory and a revision, returns nothing, and raises AssertionError with what was
expected and what was got. `policies.checks` has the rest, and all in one list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from agents.mask import Mask
from agents.revision import Revision
from policies.base import Distribution, Policy
from policies.registry import ORDERED, POLICIES, VALUELESS
from policies.samples import (
    moved,
    reordered,
    sample_contexts,
    sample_lessons,
    sample_mask,
)

Factory = Callable[[Revision], Policy]
Check = Callable[[Factory, Revision], None]

SEED = 20260302
LESSONS = 60
TOLERANCE = 1e-9
_FLOAT32 = 1e-5  # what the order of sums may change in 32 bits


def taught(create: Factory, revision: Revision) -> Policy:
    """Return a policy that has learned the sample lessons."""
    policy = create(revision)
    policy.update(sample_lessons(revision, LESSONS, np.random.default_rng(SEED)))
    return policy


def answers(policy: Policy, revision: Revision, count: int = 10) -> list[tuple[Mask, Distribution]]:
    """Return its answers to sample questions, with the mask of each."""
    rng = np.random.default_rng(SEED + 1)
    contexts = sample_contexts(revision, count, rng)
    masks = [sample_mask(revision, rng) for _ in contexts]
    return [(m, policy.distribution(c, m)) for c, m in zip(contexts, masks, strict=True)]


def same_answer(ours: Distribution, theirs: Distribution) -> bool:
    """Return whether two answers have the same bits."""
    return np.array_equal(ours.probabilities, theirs.probabilities) and np.array_equal(
        ours.expected, theirs.expected, equal_nan=True
    )


def assert_finite(policy: Policy, answer: Distribution, when: str) -> None:
    """Assert finite probabilities, and expected rewards known or not as the registry says."""
    lost = np.count_nonzero(~np.isfinite(answer.probabilities))
    assert lost == 0, f"{policy.name}: expected finite probabilities{when}, got {lost} that are not"
    total, known = len(answer.expected), np.count_nonzero(np.isfinite(answer.expected))
    nans = np.count_nonzero(np.isnan(answer.expected))
    fine, kinds = total in {known, nans}, "all finite or all NaN"
    if policy.name in VALUELESS:
        fine, kinds = nans == total, "all NaN"
    elif policy.name in POLICIES:
        fine, kinds = known == total, "all finite"
    assert fine, (
        f"{policy.name}: expected rewards that are {kinds}{when}, got {known} of {total} finite"
    )


def check_sums_to_one(create: Factory, revision: Revision) -> None:
    """Every distribution sums to 1 within 1e-9 and has one entry for each action."""
    for policy in (create(revision), taught(create, revision)):
        for _, answer in answers(policy, revision):
            shape, expected = answer.probabilities.shape, (len(revision.actions),)
            assert shape == expected, f"{policy.name}: expected shape {expected}, got {shape}"
            total = float(answer.probabilities.sum())
            assert abs(total - 1.0) <= TOLERANCE, (
                f"{policy.name}: expected the distribution to sum to 1, got {total:.12g}"
            )


def check_barred_is_zero(create: Factory, revision: Revision) -> None:
    """A barred action has probability exactly 0, and no probability is negative."""
    for policy in (create(revision), taught(create, revision)):
        for mask, answer in answers(policy, revision):
            most = float(np.max(answer.probabilities[~mask.allowed], initial=0.0))
            assert most == 0.0, f"{policy.name}: expected 0 for a barred action, got {most:.12g}"
            least = float(answer.probabilities.min())
            assert least >= 0.0, f"{policy.name}: expected no probability under 0, got {least:.12g}"


def check_one_allowed(create: Factory, revision: Revision) -> None:
    """Whatever is barred: the only allowed action has probability 1."""
    policy = taught(create, revision)
    (context,) = sample_contexts(revision, 1, np.random.default_rng(SEED))
    for index, action in enumerate(revision.actions):
        reasons = ["check: barred" if i != index else None for i in range(len(revision.actions))]
        answer = policy.distribution(context, Mask(tuple(reasons)))
        probability = float(answer.probabilities[index])
        assert probability == 1.0, (
            f"{policy.name}: expected 1 for {action.id}, the only allowed, got {probability:.12g}"
        )


def check_pure(create: Factory, revision: Revision) -> None:
    """`distribution` changes nothing: the same question has the same answer, the state stays."""
    policy = taught(create, revision)
    before = policy.to_bytes()
    first, second = answers(policy, revision), answers(policy, revision)
    same = all(same_answer(a, b) for (_, a), (_, b) in zip(first, second, strict=True))
    assert same, f"{policy.name}: expected the same answer to the same question, got another"
    assert policy.to_bytes() == before, (
        f"{policy.name}: expected `distribution` to leave the state alone, got other bytes"
    )


def check_finite(create: Factory, revision: Revision) -> None:
    """Probabilities are finite, and expected rewards finite or NaN, as the registry says."""
    policy = taught(create, revision)
    for _, answer in answers(policy, revision):
        assert_finite(policy, answer, "")


def check_ignores_identity(create: Factory, revision: Revision) -> None:
    """Who a customer is by name makes no difference: two who are alike get the same."""
    policy = taught(create, revision)
    rng = np.random.default_rng(SEED)
    for context in sample_contexts(revision, 5, rng):
        mask = sample_mask(revision, rng)
        other = policy.distribution(replace(context, customer="another"), mask)
        assert same_answer(policy.distribution(context, mask), other), (
            f"{policy.name}: expected the same answer for customers who are alike, got another"
        )


def check_order(create: Factory, revision: Revision) -> None:
    """The order in which offers are written changes nothing, unless the registry says so."""
    policy, other = create(revision), reordered(revision)
    if policy.name in ORDERED:
        return
    same, rng = create(other), np.random.default_rng(SEED)
    lessons = sample_lessons(revision, LESSONS, rng)
    policy.update(lessons)
    same.update([moved(lesson, revision, other) for lesson in lessons])
    places = [other.index(action) for action in revision.action_ids]
    for lesson in lessons[:10]:
        mine = policy.distribution(lesson.context, lesson.mask).probabilities
        mask = moved(lesson, revision, other).mask
        theirs = same.distribution(lesson.context, mask).probabilities[places]
        most = float(np.abs(mine - theirs).max())
        assert most <= _FLOAT32, (
            f"{policy.name}: expected the same answer in any order of offers,"
            f" got a difference of {most:.3g}"
        )
