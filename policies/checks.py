"""What every policy owes: plain checks, run over the whole registry and over anyone's own policy.

Each takes a factory and a revision, returns nothing, and raises AssertionError with what was
expected and what was got. Here are those of learning and of state.
"""

from __future__ import annotations

import numpy as np

from agents.errors import SnapshotError, UnknownNameError
from agents.mask import Mask
from agents.revision import Revision
from policies.base import Label, Lesson
from policies.checks_of_answers import (
    LESSONS,
    SEED,
    TOLERANCE,
    Check,
    Factory,
    answers,
    assert_finite,
    check_barred_is_zero,
    check_finite,
    check_ignores_identity,
    check_one_allowed,
    check_order,
    check_pure,
    check_sums_to_one,
    same_answer,
    taught,
)
from policies.registry import STATELESS
from policies.samples import (
    NEWCOMER,
    later_revision,
    odd_contexts,
    reweighted,
    sample_contexts,
    sample_lessons,
    sample_mask,
)

_CRASHES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def check_weights(create: Factory, revision: Revision) -> None:
    """Labels that count for more, for nothing, or take back what was never given, lose nothing."""
    policy, rng = create(revision), np.random.default_rng(SEED)
    policy.update(reweighted(sample_lessons(revision, 2 * LESSONS, rng), rng))
    for _, answer in answers(policy, revision):
        assert_finite(policy, answer, " after odd weights")


def check_refuses_unknown_outcome(create: Factory, revision: Revision) -> None:
    """A label of an undeclared outcome is refused before anything else is learned."""
    policy = create(revision)
    if policy.name in STATELESS:
        return
    lessons = sample_lessons(revision, 2, np.random.default_rng(SEED))
    before, refused = policy.to_bytes(), False
    try:
        policy.update([*lessons, lessons[0].then(Label("no such outcome", happened=True))])
    except UnknownNameError:
        refused = True
    assert refused, f"{policy.name}: expected an unknown outcome to be refused, got it learned"
    assert policy.to_bytes() == before, (
        f"{policy.name}: expected a refusal before anything is learned, got other bytes"
    )


def check_odd_contexts(create: Factory, revision: Revision) -> None:
    """Missing values, and values that were never declared, are answered and learned from."""
    policy = taught(create, revision)
    mask = sample_mask(revision, np.random.default_rng(SEED))
    outcomes = list(revision.agent.outcomes)
    for context in odd_contexts(revision):
        try:
            policy.distribution(context, mask)
            action = int(mask.indices[0])
            policy.update([Lesson.decision(context, mask, action, 0.5, outcomes)])
            answer = policy.distribution(context, mask)
        except _CRASHES as error:
            raise AssertionError(
                f"{policy.name}: expected an answer for {context.customer}, got {error!r}"
            ) from error
        assert_finite(policy, answer, f" for {context.customer}")


def check_learns(create: Factory, revision: Revision) -> None:
    """Lessons change the state, unless the registry says that there is none."""
    before, after = create(revision).to_bytes(), taught(create, revision).to_bytes()
    name = create(revision).name
    if name in STATELESS:
        assert before == after, f"{name}: expected no state, got one that lessons change"
    else:
        assert before != after, f"{name}: expected lessons to change the state, got the same bytes"


def check_deterministic(create: Factory, revision: Revision) -> None:
    """The same lessons give the same bytes, asked for answers or not, in one go or in two."""
    lessons = sample_lessons(revision, LESSONS, np.random.default_rng(SEED))
    policy = create(revision)
    answers(policy, revision)
    policy.update(lessons[:20])
    answers(policy, revision)
    middle = type(policy).from_bytes(policy.to_bytes(), revision)
    middle.update(lessons[20:])
    policy.update(lessons[20:])
    expected = taught(create, revision).to_bytes()
    assert policy.to_bytes() == expected, (
        f"{policy.name}: expected the same lessons to give the same bytes, got others"
    )
    assert middle.to_bytes() == expected, (
        f"{policy.name}: expected the same bytes after a restart halfway, got others"
    )


def check_round_trip(create: Factory, revision: Revision) -> None:
    """A policy rebuilt from its bytes has the same bytes and gives the same answers."""
    policy = taught(create, revision)
    state = policy.to_bytes()
    again = type(policy).from_bytes(state, revision)
    assert again.to_bytes() == state, f"{policy.name}: expected the same bytes, rebuilt, got others"
    pairs = zip(answers(policy, revision), answers(again, revision), strict=True)
    assert all(same_answer(a, b) for (_, a), (_, b) in pairs), (
        f"{policy.name}: expected the same answers, rebuilt, got others"
    )


def check_later_revision(create: Factory, revision: Revision) -> None:
    """A state serves a revision with one more offer and one fewer, and goes on learning."""
    policy = taught(create, revision)
    later = later_revision(revision)
    restored = type(policy).from_bytes(policy.to_bytes(), later)
    restored.update(sample_lessons(later, 5, np.random.default_rng(SEED)))
    for _, answer in answers(restored, later):
        shape, expected = answer.probabilities.shape, (len(later.actions),)
        assert shape == expected, (
            f"{policy.name}: expected shape {expected} under a later revision, got {shape}"
        )
        total = float(answer.probabilities.sum())
        assert abs(total - 1.0) <= TOLERANCE, (
            f"{policy.name}: expected a sum of 1 under a later revision, got {total:.12g}"
        )


def check_new_action(create: Factory, revision: Revision) -> None:
    """An action of which nothing is known is answered like any other, and can be learned."""
    policy = taught(create, revision)
    later = later_revision(revision)
    restored = type(policy).from_bytes(policy.to_bytes(), later)
    (context,) = sample_contexts(later, 1, np.random.default_rng(SEED))
    for position, action in enumerate(later.actions):
        if action.offer != NEWCOMER:
            continue
        reasons = [
            None if i in (0, position) else "check: barred" for i in range(len(later.actions))
        ]
        mask = Mask(tuple(reasons))
        before = restored.to_bytes()
        restored.update([Lesson.decision(context, mask, position, 0.5, later.agent.outcomes)])
        assert restored.name in STATELESS or restored.to_bytes() != before, (
            f"{policy.name}: expected to learn about {action.id}, which is new, got the same bytes"
        )
        answer = restored.distribution(context, mask)
        assert_finite(policy, answer, f" with {action.id}, which is new")


def check_other_actions(create: Factory, revision: Revision) -> None:
    """A state serves a request with other actions, fewer or more, and goes on learning."""
    policy = taught(create, revision)
    for count in (1, 2, 50):
        later = revision.offering(("none", *(f"another-{number}" for number in range(count))))
        restored = type(policy).from_bytes(policy.to_bytes(), later)
        restored.update(sample_lessons(later, 5, np.random.default_rng(SEED)))
        for mask, answer in answers(restored, later):
            total = float(answer.probabilities[mask.allowed].sum())
            assert abs(total - 1.0) <= TOLERANCE, (
                f"{policy.name}: expected a sum of 1 over {count} other actions, got {total:.12g}"
            )


def check_refuses_garbage(create: Factory, revision: Revision) -> None:
    """Bytes that are not its state are refused with SnapshotError: junk, cut short, or foreign."""
    policy = taught(create, revision)
    state = policy.to_bytes()
    for what, garbage in (("no", b""), ("random", b"\x00\xff" * 40), ("cut", state[:-1])):
        try:
            type(policy).from_bytes(garbage, revision)
        except SnapshotError:
            continue
        raise AssertionError(f"{policy.name}: expected SnapshotError for {what} bytes, got none")


ALL_CHECKS: tuple[Check, ...] = (
    check_sums_to_one,
    check_barred_is_zero,
    check_one_allowed,
    check_pure,
    check_finite,
    check_weights,
    check_refuses_unknown_outcome,
    check_odd_contexts,
    check_ignores_identity,
    check_order,
    check_learns,
    check_deterministic,
    check_round_trip,
    check_later_revision,
    check_new_action,
    check_refuses_garbage,
)

RANKER_CHECKS: tuple[Check, ...] = (
    check_sums_to_one,
    check_barred_is_zero,
    check_one_allowed,
    check_pure,
    check_finite,
    check_weights,
    check_refuses_unknown_outcome,
    check_ignores_identity,
    check_learns,
    check_deterministic,
    check_round_trip,
    check_other_actions,
    check_refuses_garbage,
)
"""Of learners of a loop, on its revision with the actions of one request."""

__all__ = [
    "ALL_CHECKS",
    "RANKER_CHECKS",
    "Check",
    "Factory",
    "check_barred_is_zero",
    "check_deterministic",
    "check_finite",
    "check_ignores_identity",
    "check_later_revision",
    "check_learns",
    "check_new_action",
    "check_odd_contexts",
    "check_one_allowed",
    "check_order",
    "check_other_actions",
    "check_pure",
    "check_refuses_garbage",
    "check_refuses_unknown_outcome",
    "check_round_trip",
    "check_sums_to_one",
    "check_weights",
    "later_revision",
]
