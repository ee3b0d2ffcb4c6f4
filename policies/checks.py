"""What every policy owes: plain checks, run over the whole registry and over anyone's own policy.

Each takes a factory and a revision, returns nothing, and raises AssertionError with what was
expected and what was got.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agents.errors import SnapshotError
from agents.mask import Mask
from agents.revision import Revision
from policies.base import Distribution, Policy
from policies.registry import STATELESS
from policies.samples import sample_contexts, sample_lessons, sample_mask

Factory = Callable[[Revision], Policy]
Check = Callable[[Factory, Revision], None]

_SEED = 20260302
_LESSONS = 60
_TOLERANCE = 1e-9


def _taught(create: Factory, revision: Revision) -> Policy:
    policy = create(revision)
    policy.update(sample_lessons(revision, _LESSONS, np.random.default_rng(_SEED)))
    return policy


def _answers(
    policy: Policy, revision: Revision, count: int = 10
) -> list[tuple[Mask, Distribution]]:
    rng = np.random.default_rng(_SEED + 1)
    contexts = sample_contexts(revision, count, rng)
    masks = [sample_mask(revision, rng) for _ in contexts]
    return [(m, policy.distribution(c, m)) for c, m in zip(contexts, masks, strict=True)]


def _same(ours: Distribution, theirs: Distribution) -> bool:
    return np.array_equal(ours.probabilities, theirs.probabilities) and np.array_equal(
        ours.expected, theirs.expected, equal_nan=True
    )


def check_sums_to_one(create: Factory, revision: Revision) -> None:
    """Every distribution sums to 1 within 1e-9 and has one entry for each action."""
    for policy in (create(revision), _taught(create, revision)):
        for _, answer in _answers(policy, revision):
            shape, expected = answer.probabilities.shape, (len(revision.actions),)
            assert shape == expected, f"{policy.name}: expected shape {expected}, got {shape}"
            total = float(answer.probabilities.sum())
            assert abs(total - 1.0) <= _TOLERANCE, (
                f"{policy.name}: expected the distribution to sum to 1, got {total:.12g}"
            )


def check_barred_is_zero(create: Factory, revision: Revision) -> None:
    """A barred action has probability exactly 0, and no probability is negative."""
    for policy in (create(revision), _taught(create, revision)):
        for mask, answer in _answers(policy, revision):
            most = float(np.max(answer.probabilities[~mask.allowed], initial=0.0))
            assert most == 0.0, f"{policy.name}: expected 0 for a barred action, got {most:.12g}"
            least = float(answer.probabilities.min())
            assert least >= 0.0, f"{policy.name}: expected no probability under 0, got {least:.12g}"


def check_one_allowed(create: Factory, revision: Revision) -> None:
    """Whatever is barred: the only allowed action has probability 1."""
    policy = _taught(create, revision)
    (context,) = sample_contexts(revision, 1, np.random.default_rng(_SEED))
    for index, action in enumerate(revision.actions):
        reasons = ["check: barred" if i != index else None for i in range(len(revision.actions))]
        answer = policy.distribution(context, Mask(tuple(reasons)))
        probability = float(answer.probabilities[index])
        assert probability == 1.0, (
            f"{policy.name}: expected 1 for {action.id}, the only allowed, got {probability:.12g}"
        )


def check_pure(create: Factory, revision: Revision) -> None:
    """`distribution` changes nothing: the same question has the same answer, the state stays."""
    policy = _taught(create, revision)
    before = policy.to_bytes()
    first, second = _answers(policy, revision), _answers(policy, revision)
    same = all(_same(a, b) for (_, a), (_, b) in zip(first, second, strict=True))
    assert same, f"{policy.name}: expected the same answer to the same question, got another"
    assert policy.to_bytes() == before, (
        f"{policy.name}: expected `distribution` to leave the state alone, got other bytes"
    )


def check_finite(create: Factory, revision: Revision) -> None:
    """After learning all probabilities are finite, and expected rewards finite or all NaN."""
    policy = _taught(create, revision)
    for _, answer in _answers(policy, revision):
        lost = np.count_nonzero(~np.isfinite(answer.probabilities))
        assert lost == 0, f"{policy.name}: expected finite probabilities, got {lost} that are not"
        expected = answer.expected
        known = np.count_nonzero(np.isfinite(expected))
        assert known == len(expected) or np.isnan(expected).all(), (
            f"{policy.name}: expected rewards that are all finite or all NaN,"
            f" got {known} of {len(expected)} finite"
        )


def check_learns(create: Factory, revision: Revision) -> None:
    """Lessons change the state, unless the registry says that there is none."""
    before, after = create(revision).to_bytes(), _taught(create, revision).to_bytes()
    name = create(revision).name
    if name in STATELESS:
        assert before == after, f"{name}: expected no state, got one that lessons change"
    else:
        assert before != after, f"{name}: expected lessons to change the state, got the same bytes"


def check_deterministic(create: Factory, revision: Revision) -> None:
    """The same lessons give the same bytes, asked for answers or not, in one go or in two."""
    lessons = sample_lessons(revision, _LESSONS, np.random.default_rng(_SEED))
    policy = create(revision)
    _answers(policy, revision)
    policy.update(lessons[:20])
    _answers(policy, revision)
    middle = type(policy).from_bytes(policy.to_bytes(), revision)
    middle.update(lessons[20:])
    policy.update(lessons[20:])
    expected = _taught(create, revision).to_bytes()
    assert policy.to_bytes() == expected, (
        f"{policy.name}: expected the same lessons to give the same bytes, got others"
    )
    assert middle.to_bytes() == expected, (
        f"{policy.name}: expected the same bytes after a restart halfway, got others"
    )


def check_round_trip(create: Factory, revision: Revision) -> None:
    """A policy rebuilt from its bytes has the same bytes and gives the same answers."""
    policy = _taught(create, revision)
    state = policy.to_bytes()
    again = type(policy).from_bytes(state, revision)
    assert again.to_bytes() == state, f"{policy.name}: expected the same bytes, rebuilt, got others"
    pairs = zip(_answers(policy, revision), _answers(again, revision), strict=True)
    assert all(_same(a, b) for (_, a), (_, b) in pairs), (
        f"{policy.name}: expected the same answers, rebuilt, got others"
    )


def later_revision(revision: Revision) -> Revision:
    """Return the revision with its first offer gone, from bundles too, and a new one added."""
    gone, first = next(iter(revision.agent.offers.items()))
    offers = {
        name: offer.model_copy(update={"includes": tuple(n for n in offer.includes if n != gone)})
        for name, offer in revision.agent.offers.items()
        if name != gone
    }
    agent = revision.agent.model_copy(update={"offers": offers | {"newcomer": first}})
    return Revision(revision.workspace, agent)


def check_later_revision(create: Factory, revision: Revision) -> None:
    """A state serves a revision with one more offer and one fewer, and goes on learning."""
    policy = _taught(create, revision)
    later = later_revision(revision)
    restored = type(policy).from_bytes(policy.to_bytes(), later)
    restored.update(sample_lessons(later, 5, np.random.default_rng(_SEED)))
    for _, answer in _answers(restored, later):
        shape, expected = answer.probabilities.shape, (len(later.actions),)
        assert shape == expected, (
            f"{policy.name}: expected shape {expected} under a later revision, got {shape}"
        )
        total = float(answer.probabilities.sum())
        assert abs(total - 1.0) <= _TOLERANCE, (
            f"{policy.name}: expected a sum of 1 under a later revision, got {total:.12g}"
        )


def check_refuses_garbage(create: Factory, revision: Revision) -> None:
    """Bytes that are not its state are refused with SnapshotError: junk, cut short, or foreign."""
    policy = _taught(create, revision)
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
    check_learns,
    check_deterministic,
    check_round_trip,
    check_later_revision,
    check_refuses_garbage,
)
