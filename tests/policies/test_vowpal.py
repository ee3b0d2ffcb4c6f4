from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from agents.errors import SnapshotError, StateError, UnknownNameError
from agents.mask import Mask
from agents.revision import Revision
from agents.spec import CustomerField
from policies.base import Lesson
from policies.samples import sample_contexts, sample_lessons, sample_mask
from policies.state import pack, unpack
from policies.vowpal import VowpalEpsilon, VowpalSquareCB

Learner = type[VowpalEpsilon] | type[VowpalSquareCB]
BOTH = pytest.mark.parametrize("learner", [VowpalEpsilon, VowpalSquareCB])


def taught(learner: Learner, revision: Revision) -> VowpalEpsilon | VowpalSquareCB:
    policy = learner.create(revision)
    policy.update(sample_lessons(revision, 40, np.random.default_rng(0)))
    return policy


@BOTH
def test_every_allowed_action_keeps_epsilon_over_their_number(
    learner: Learner, revision: Revision
) -> None:
    policy, rng = taught(learner, revision), np.random.default_rng(1)
    epsilon = learner.default
    for context in sample_contexts(revision, 20, rng):
        mask = sample_mask(revision, rng)
        p = policy.distribution(context, mask).probabilities
        assert p[mask.allowed].min() >= epsilon / mask.allowed.sum() * (1 - 1e-4)
        assert p.sum() == pytest.approx(1.0, abs=1e-12)


def test_epsilon_prefers_what_paid(revision: Revision) -> None:
    rng, policy = np.random.default_rng(2), VowpalEpsilon.create(revision)
    good = revision.index("loyalty_credit/thank_you@sms")
    mask = Mask((None,) * len(revision.actions))
    lessons = []
    for context in sample_contexts(revision, 800, rng):
        action = int(rng.integers(len(revision.actions)))
        lesson = Lesson(context, mask, action, 1 / len(revision.actions))
        lessons.append(lesson)
        if action == good and rng.random() < 0.5:
            lessons.append(replace(lesson, outcome="renewed"))
    policy.update(lessons)
    p = [policy.distribution(c, mask).probabilities for c in sample_contexts(revision, 20, rng)]
    assert np.mean([one.argmax() == good for one in p]) > 0.8


@BOTH
@pytest.mark.parametrize("propensity", [0.0, -0.1, 1.5, math.nan, math.inf])
def test_a_bad_propensity_is_refused_before_anything_is_learned(
    learner: Learner, revision: Revision, propensity: float
) -> None:
    policy = taught(learner, revision)
    before = policy.to_bytes()
    good = sample_lessons(revision, 1, np.random.default_rng(3))[0]
    with pytest.raises(ValueError, match=r"expected a propensity in \(0, 1\]"):
        policy.update([good, replace(good, propensity=propensity)])
    assert policy.to_bytes() == before


def test_other_bad_lessons_are_refused(revision: Revision) -> None:
    policy = VowpalEpsilon.create(revision)
    good = sample_lessons(revision, 1, np.random.default_rng(3))[0]
    with pytest.raises(UnknownNameError, match="did you mean 'renewed'"):
        policy.update([replace(good, outcome="renewd")])
    barred = next(i for i, reason in enumerate(good.mask.reasons) if reason is not None)
    with pytest.raises(ValueError, match="expected an allowed action"):
        policy.update([replace(good, action=barred)])


@BOTH
def test_a_model_cut_short_is_refused(learner: Learner, revision: Revision) -> None:
    facts, arrays = unpack(learner.name, taught(learner, revision).to_bytes())
    model = arrays["model"][:-200]  # VW itself would load it without a word
    with pytest.raises(SnapshotError, match="does not have the SHA-256 it claims"):
        learner.from_bytes(pack(learner.name, facts, {**arrays, "model": model}), revision)


@BOTH
def test_other_arguments_are_refused(learner: Learner, revision: Revision) -> None:
    facts, arrays = unpack(learner.name, taught(learner, revision).to_bytes())
    facts["arguments"] = [*facts["arguments"], "--nounif"]
    with pytest.raises(SnapshotError, match="got one of .*--nounif"):
        learner.from_bytes(pack(learner.name, facts, arrays), revision)


def test_a_model_that_vw_refuses(revision: Revision) -> None:
    facts, arrays = unpack("vw_epsilon", taught(VowpalEpsilon, revision).to_bytes())
    junk = np.frombuffer(b"\x06\0\0\0junk", dtype=np.uint8)
    facts["sha256"] = hashlib.sha256(junk.tobytes()).hexdigest()
    with pytest.raises(SnapshotError, match="lacks a part"):
        VowpalEpsilon.from_bytes(pack("vw_epsilon", facts, {**arrays, "model": junk}), revision)


def test_an_explorer_does_not_load_the_other_ones_model(revision: Revision) -> None:
    state = taught(VowpalEpsilon, revision).to_bytes()
    with pytest.raises(SnapshotError, match="expected the state of vw_squarecb, got the state of"):
        VowpalSquareCB.from_bytes(state, revision)


def test_epsilon_may_change_with_the_revision(
    revision: Revision, with_settings: Callable[[Mapping[str, float]], Revision]
) -> None:
    state = taught(VowpalEpsilon, revision).to_bytes()
    policy = VowpalEpsilon.from_bytes(state, with_settings({"epsilon": 0.5}))
    (context,) = sample_contexts(revision, 1, np.random.default_rng(4))
    p = policy.distribution(context, Mask((None,) * len(revision.actions))).probabilities
    assert p.min() == pytest.approx(0.5 / len(p), rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"epsilon": 0.0}, "from 0.001 to 1, got 0"), ({"gamma": 3.0}, "has no setting 'gamma'")],
)
def test_settings(
    with_settings: Callable[[Mapping[str, float]], Revision],
    settings: dict[str, float],
    message: str,
) -> None:
    with pytest.raises((ValueError, UnknownNameError), match=message):
        VowpalSquareCB.create(with_settings(settings))


def test_a_damaged_model_is_noticed_when_it_answers(
    revision: Revision, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = VowpalEpsilon.create(revision)
    count = len(revision.actions)
    monkeypatch.setattr(
        "policies.vowpal_engine.Engine.predict",
        lambda self, lines: [(i, 1.0) for i in range(count)],
    )
    (context,) = sample_contexts(revision, 1, np.random.default_rng(4))
    with pytest.raises(StateError, match="expected VW's probabilities to sum to 1, got 25"):
        policy.distribution(context, Mask((None,) * count))


HOSTILE = ("plain", "a|o bigger_plan", "x:9 y", "shared", "0:-1:1 |i none", "é ∑", "", "%7C")


def test_a_category_value_cannot_inject_text(revision: Revision) -> None:
    fields = {"note": CustomerField(type="category", values=HOSTILE)}
    workspace = revision.workspace.model_copy(
        update={"customer": dict(revision.workspace.customer) | fields}
    )
    hostile = Revision(workspace, revision.agent)
    policy = taught(VowpalEpsilon, hostile)
    (context,) = sample_contexts(hostile, 1, np.random.default_rng(5))
    mask = Mask((None,) * len(hostile.actions))
    for value in HOSTILE:
        one = replace(context, features={**context.features, "note": value})
        lines = policy._examples(one, mask)
        assert len(lines) == 1 + len(hostile.actions)
        assert all("\n" not in line for line in lines)
        assert lines[0].count("|") == 1
        assert policy.distribution(one, mask).probabilities.sum() == pytest.approx(1.0, abs=1e-12)


@BOTH
def test_lessons_one_by_one_or_together_give_the_same_bytes(
    learner: Learner, revision: Revision
) -> None:
    together, singly = learner.create(revision), learner.create(revision)
    lessons = sample_lessons(revision, 15, np.random.default_rng(6))
    together.update(lessons)
    for lesson in lessons:
        singly.distribution(lesson.context, lesson.mask)
        singly.update([lesson])
    assert together.to_bytes() == singly.to_bytes()


@BOTH
@pytest.mark.parametrize("value", [-1e-300, -1e-4, 1e9])
def test_values_far_from_the_costs_leave_the_weights_finite(
    revision: Revision, learner: Learner, value: float
) -> None:
    outcome = revision.agent.outcomes["complained"].model_copy(update={"value": value})
    agent = revision.agent.model_copy(update={"outcomes": {"complained": outcome}})
    odd = Revision(revision.workspace, agent)
    policy = learner.create(odd)
    rng = np.random.default_rng(4)
    policy.update(sample_lessons(odd, 100, rng))
    for context in sample_contexts(odd, 5, rng):
        answer = policy.distribution(context, sample_mask(odd, rng))
        assert answer.probabilities.sum() == pytest.approx(1.0)
