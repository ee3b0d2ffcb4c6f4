"""`vw_rank` and what it answers: ranks by features, shows VW only what is allowed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.context import Context
from agents.errors import SnapshotError, StateError, UnknownNameError
from agents.mask import Mask
from agents.revision import Revision
from agents.supplied import supply
from policies.base import Label, Lesson
from policies.samples import sample_contexts, sample_lessons
from policies.state import pack, unpack
from policies.vowpal.rank import VowpalRank


def anyone(loop: Revision) -> Context:
    (context,) = sample_contexts(loop, 1, np.random.default_rng(1))
    return context


def lesson(loop: Revision, action: int, value: float | None, weight: float = 1.0) -> Lesson:
    (outcome,) = loop.agent.outcomes
    label = Label(outcome, happened=True, weight=weight, value=value)
    return Lesson(anyone(loop), Mask(("always", None, None, None)), action, 0.5, (label,), True)


def test_what_was_worth_more_is_chosen_and_what_is_barred_is_not_shown(loop: Revision) -> None:
    policy, context = VowpalRank.create(loop), anyone(loop)
    policy.update([lesson(loop, 1, -1.0), lesson(loop, 2, 1.0), lesson(loop, 3, 0.5)] * 30)
    for reasons, expected in (
        (("always", None, None, None), [0, 0, 1, 0]),
        (("always", None, "barred", None), [0, 0, 0, 1]),
        (("always", None, "barred", "barred"), [0, 1, 0, 0]),
        ((None, "barred", "barred", "barred"), [1, 0, 0, 0]),
        ((None, None, "barred", None), [0, 0, 0, 1]),
    ):
        answer = policy.distribution(context, Mask(reasons))
        assert answer.probabilities.tolist() == expected
        assert np.isnan(answer.expected).all()


def test_what_it_knows_is_of_features_and_not_of_places(loop: Revision) -> None:
    policy, context = VowpalRank.create(loop), anyone(loop)
    assert context.supplied is not None
    actions = {name: [{"topic": name}] for name in "xyz"}
    allowed = Mask(("always", None, None, None))
    for number in range(60):
        drawn = number % 3
        shown = dict(list(actions.items())[drawn:] + list(actions.items())[:drawn])
        worth = 1.0 if next(iter(shown)) == "z" else 0.0
        told = lesson(loop, 1, worth)
        policy.update([replace(told, context=replace(context, supplied=supply([], shown)))])
    order = {name: actions[name] for name in "zxy"}
    answer = policy.distribution(replace(context, supplied=supply([], order)), allowed)
    assert answer.probabilities.tolist() == [0, 1, 0, 0]


def test_what_teaches_nothing(loop: Revision) -> None:
    policy = VowpalRank.create(loop)
    before = policy.to_bytes()
    nothing = replace(lesson(loop, 0, 1.0), mask=Mask((None, "b", "b", "b")))
    policy.update([lesson(loop, 1, None), lesson(loop, 1, 1.0, 0.0), lesson(loop, 1, 1.0, -1.0)])
    policy.update([nothing])
    assert policy.to_bytes() == before
    policy.update([lesson(loop, 1, 0.0)])
    assert policy.to_bytes() != before


def test_lessons_that_would_ruin_it_are_refused_before_any_is_learned(loop: Revision) -> None:
    policy, good = VowpalRank.create(loop), lesson(loop, 1, 1.0)
    before = policy.to_bytes()
    for bad, message in (
        (replace(good, propensity=0.0), "propensity in"),
        (replace(good, propensity=1.5), "propensity in"),
        (replace(good, action=0), "barred one at 0"),
        (lesson(loop, 1, float("nan")), "finite value"),
        (lesson(loop, 1, 1.0, float("inf")), "finite weight"),
        (replace(good, context=replace(good.context, supplied=None)), "supplied with the request"),
    ):
        with pytest.raises(ValueError, match=message):
            policy.update([good, bad])
        assert policy.to_bytes() == before


def test_a_question_without_its_actions_is_refused(loop: Revision) -> None:
    policy, context = VowpalRank.create(loop), anyone(loop)
    with pytest.raises(StateError, match="expected 1 actions supplied with the request, got 3"):
        policy.distribution(context, Mask((None, None)))


def test_another_learning_rate_goes_on_with_what_was_learned(loop: Revision) -> None:
    spec = loop.agent.policy.model_copy(update={"settings": {"learning_rate": 1.0}})
    fast = Revision(loop.workspace, loop.agent.model_copy(update={"policy": spec}))
    policy = VowpalRank.create(loop)
    policy.update(sample_lessons(loop, 20, np.random.default_rng(2)))
    state = policy.to_bytes()
    other = VowpalRank.from_bytes(state, fast)
    mask = Mask(("always", None, None, None))
    for context in sample_contexts(loop, 10, np.random.default_rng(4)):
        both = [each.distribution(context, mask).probabilities for each in (policy, other)]
        assert (both[0] == both[1]).all()
    for each in (policy, other):
        each.update([lesson(loop, 1, 1.0)])
    assert policy.to_bytes() != other.to_bytes()


def test_settings_and_states_that_do_not_fit(loop: Revision) -> None:
    policy = VowpalRank.create(loop)
    facts, arrays = unpack("vw_rank", policy.to_bytes())
    other = pack("vw_rank", facts | {"arguments": ["--cb_explore_adf"]}, arrays)
    damaged = pack("vw_rank", facts | {"sha256": "0" * 64}, arrays)
    for state, message in ((other, "expected a model of"), (damaged, "SHA-256"), (b"x", "state")):
        with pytest.raises(SnapshotError, match=message):
            VowpalRank.from_bytes(state, loop)
    spec = loop.agent.policy.model_copy(update={"settings": {"epsilon": 0.1}})
    with pytest.raises(UnknownNameError, match="epsilon"):
        VowpalRank.create(Revision(loop.workspace, loop.agent.model_copy(update={"policy": spec})))
