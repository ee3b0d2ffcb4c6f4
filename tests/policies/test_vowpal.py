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
from agents.spec import CustomerField, Variant
from policies.base import Label, Lesson
from policies.samples import sample_contexts, sample_lessons, sample_mask
from policies.state import pack, unpack
from policies.vowpal.learners import VowpalEpsilon, VowpalLarge, VowpalSoftmax, VowpalSquareCB

Policy = VowpalEpsilon | VowpalSquareCB | VowpalSoftmax | VowpalLarge
Learner = type[VowpalEpsilon] | type[VowpalSquareCB] | type[VowpalSoftmax] | type[VowpalLarge]
LEARNERS: list[Learner] = [VowpalEpsilon, VowpalSquareCB, VowpalSoftmax, VowpalLarge]
EVERY = pytest.mark.parametrize("learner", LEARNERS)


def taught(learner: Learner, revision: Revision) -> Policy:
    policy = learner.create(revision)
    policy.update(sample_lessons(revision, 40, np.random.default_rng(0)))
    return policy


@EVERY
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
        lesson = Lesson.decision(
            context, mask, action, 1 / len(revision.actions), revision.agent.outcomes
        )
        lessons.append(lesson)
        if action == good and rng.random() < 0.5:
            lessons.append(lesson.then(Label("renewed", happened=True)))
    policy.update(lessons)
    p = [policy.distribution(c, mask).probabilities for c in sample_contexts(revision, 20, rng)]
    assert np.mean([one.argmax() == good for one in p]) > 0.8


@EVERY
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


def lesson_of(revision: Revision, *labels: Label, first: bool = False) -> Lesson:
    made = sample_lessons(revision, 1, np.random.default_rng(3))[0]
    return replace(made, labels=labels, first=first)


def everything(revision: Revision, weight: float) -> list[Label]:
    return [Label(name, happened=False, weight=weight) for name in revision.agent.outcomes]


@pytest.mark.parametrize("weight", [1.0, 0.05, 0.0])
def test_what_has_not_happened_is_one_example(revision: Revision, weight: float) -> None:
    policy = VowpalEpsilon.create(revision)
    lesson = lesson_of(revision, *everything(revision, weight))
    targets = list(policy._rewards.targets(lesson))
    assert len(targets) == 1
    assert targets[0].weight == pytest.approx(weight)
    assert targets[0].loss == policy._rewards.costs[lesson.action] / policy._rewards.scale


def test_the_mean_of_all_examples_is_the_reward(revision: Revision) -> None:
    """With rates p: cost - sum v p / (1 + sum s p), in units of the scale."""
    policy, rng = VowpalEpsilon.create(revision), np.random.default_rng(5)
    rates = {name: float(rng.uniform(0.0, 0.3)) for name in revision.agent.outcomes}
    happened = [Label(name, happened=True, weight=rate) for name, rate in rates.items()]
    lesson = lesson_of(revision, *everything(revision, 1.0), *happened)
    targets = [target for target in policy._rewards.targets(lesson) if target.weight > 0.0]
    mean = np.average([t.loss for t in targets], weights=[t.weight for t in targets])
    worth = {name: o.worth for name, o in revision.agent.outcomes.items()}
    total = sum(abs(value) for value in worth.values())
    earned = sum(worth[name] * rate for name, rate in rates.items())
    dilution = 1.0 + sum(abs(worth[name]) / total * rate for name, rate in rates.items())
    expected = (policy._rewards.costs[lesson.action] - earned / dilution) / policy._rewards.scale
    assert mean == pytest.approx(expected, rel=1e-12)
    assert {name for name, value in worth.items() if value < 0.0}  # a complaint costs


@pytest.mark.parametrize("outcome", ["renewed", "complained"])
def test_taking_back_an_outcome_learns_its_opposite(revision: Revision, outcome: str) -> None:
    policy = VowpalEpsilon.create(revision)
    labels = (Label(outcome, happened=True), Label(outcome, happened=True, weight=-1.0))
    lesson = lesson_of(revision, *labels)
    _, there, back = policy._rewards.targets(lesson)
    cost = policy._rewards.costs[lesson.action] / policy._rewards.scale
    assert there.weight == back.weight > 0.0
    assert (there.loss + back.loss) / 2.0 == pytest.approx(cost)
    assert (there.loss < cost) == (outcome == "renewed")


def test_taking_back_that_nothing_happened_changes_nothing(revision: Revision) -> None:
    policy = taught(VowpalEpsilon, revision)
    before = policy.to_bytes()
    policy.update([lesson_of(revision, *everything(revision, -1.0))])
    assert policy.to_bytes() == before


@EVERY
@pytest.mark.parametrize("weight", [-5.0, 1e-30, 5.0])
def test_no_weight_ruins_the_model(revision: Revision, learner: Learner, weight: float) -> None:
    policy, rng = learner.create(revision), np.random.default_rng(7)
    odd = [Label(name, happened=True, weight=weight) for name in revision.agent.outcomes]
    lessons = sample_lessons(revision, 30, rng)
    policy.update([lesson.then(*odd) for lesson in lessons] + lessons)
    p = [policy.distribution(lesson.context, lesson.mask).probabilities for lesson in lessons]
    assert all(np.isfinite(one).all() for one in p)
    # And it still learns, if what it is taught from now on is plain.
    good = revision.index("loyalty_credit/thank_you@sms")
    mask = Mask((None,) * len(revision.actions))
    for lesson in sample_lessons(revision, 400, rng):
        plain = replace(lesson, mask=mask, action=good, labels=())
        policy.update([replace(lesson, mask=mask), plain.then(Label("renewed", happened=True))])
    p = [policy.distribution(lesson.context, mask).probabilities for lesson in lessons]
    assert np.mean([one.argmax() == good for one in p]) > 0.8


@EVERY
@pytest.mark.parametrize("weight", [1001.0, -1001.0, math.inf, math.nan])
def test_weights_out_of_bounds_are_refused(
    revision: Revision, learner: Learner, weight: float
) -> None:
    policy = taught(learner, revision)
    before = policy.to_bytes()
    with pytest.raises(ValueError, match=r"a lesson about 'renewed': expected a .*weight"):
        policy.update([lesson_of(revision, Label("renewed", happened=True, weight=weight))])
    assert policy.to_bytes() == before


def test_other_bad_lessons_are_refused(revision: Revision) -> None:
    policy = VowpalEpsilon.create(revision)
    good = sample_lessons(revision, 1, np.random.default_rng(3))[0]
    with pytest.raises(UnknownNameError, match="did you mean 'renewed'"):
        policy.update([good.then(Label("renewd", happened=True))])
    barred = next(i for i, reason in enumerate(good.mask.reasons) if reason is not None)
    with pytest.raises(ValueError, match="expected an allowed action"):
        policy.update([replace(good, action=barred)])


@EVERY
def test_all_actions_allowed_answers_depend_on_nothing_before(
    learner: Learner, revision: Revision
) -> None:
    """More than the 20 that a large action space answers without memory."""
    policy = taught(learner, revision)
    mask = Mask((None,) * len(revision.actions))
    assert len(mask.indices) > 20
    contexts = sample_contexts(revision, 4, np.random.default_rng(8))
    first = [policy.distribution(context, mask).probabilities for context in contexts]
    again = [policy.distribution(context, mask).probabilities for context in reversed(contexts)]
    restored = learner.from_bytes(policy.to_bytes(), revision)
    there = [restored.distribution(context, mask).probabilities for context in contexts]
    assert np.array_equal(first, again[::-1])
    assert np.array_equal(first, there)


def test_a_weight_above_1_is_as_many_examples(revision: Revision) -> None:
    one, many = taught(VowpalEpsilon, revision), taught(VowpalEpsilon, revision)
    lesson = lesson_of(revision)
    one.update([lesson.then(*everything(revision, 3.0))])
    many.update([lesson.then(*everything(revision, 1.0))] * 3)
    assert one.to_bytes() == many.to_bytes()


@EVERY
def test_a_model_cut_short_is_refused(learner: Learner, revision: Revision) -> None:
    facts, arrays = unpack(learner.name, taught(learner, revision).to_bytes())
    model = arrays["model"][:-200]  # VW itself would load it without a word
    with pytest.raises(SnapshotError, match="does not have the SHA-256 it claims"):
        learner.from_bytes(pack(learner.name, facts, {**arrays, "model": model}), revision)


@EVERY
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


def test_a_new_wording_is_no_blank_slate(revision: Revision) -> None:
    """Of two wordings never tried, the one that shares words with what paid is preferred."""
    offer = revision.agent.offers["loyalty_credit"]
    wordings = {"old": "Thank you for staying", "near": "Thank you for coming", "far": "Look here"}
    variants = {name: Variant(text=text) for name, text in wordings.items()}
    settings = revision.agent.policy.model_copy(update={"settings": {"words": 1.0}})
    offers = {"credit": offer.model_copy(update={"variants": variants})}
    agent = revision.agent.model_copy(update={"offers": offers, "policy": settings})
    worded = Revision(revision.workspace, agent)
    old, near, far = (worded.index(f"credit/{name}@sms") for name in wordings)
    policy, rng = VowpalEpsilon.create(worded), np.random.default_rng(9)
    tried = {0, old}
    mask = Mask(tuple(None if i in tried else "new" for i in range(len(worded.actions))))
    for context in sample_contexts(worded, 100, rng):
        for action in tried:
            lesson = Lesson.decision(context, mask, action, 0.5, worded.agent.outcomes)
            paid = [lesson.then(Label("renewed", happened=True))] if action == old else []
            policy.update([lesson, *paid])
    new = Mask(tuple(None if i in {near, far} else "old" for i in range(len(worded.actions))))
    for context in sample_contexts(worded, 5, rng):
        p = policy.distribution(context, new).probabilities
        assert p[near] == pytest.approx(1.0 - VowpalEpsilon.default / 2, abs=1e-6)


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
    [
        ({"epsilon": 0.0}, "from 0.001 to 1, got 0"),
        ({"words": 0.5}, "a whole number from 0 to 1"),
        ({"gamma": 3.0}, "has no setting 'gamma'"),
    ],
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
        "policies.vowpal.engine.Engine.predict",
        lambda self, shared, indices: [(i, 1.0) for i in indices],
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
        line = policy._shared(one)
        assert "\n" not in line
        assert line.count("|") == 1
        assert policy.distribution(one, mask).probabilities.sum() == pytest.approx(1.0, abs=1e-12)


@EVERY
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


@EVERY
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
