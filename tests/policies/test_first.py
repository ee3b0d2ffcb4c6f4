"""`first` shows what the caller would; `imitate` teaches a learner to do so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.context import Context
from agents.mask import Mask
from agents.revision import Revision
from agents.supplied import supply
from policies.base import Label, Lesson
from policies.first import First
from policies.imitation import imitate
from policies.registry import create_policy
from policies.samples import sample_contexts
from policies.vowpal.rank import VowpalRank


def asking(loop: Revision, baseline: str = "") -> Context:
    (context,) = sample_contexts(loop, 1, np.random.default_rng(1))
    actions = {name: [{"topic": name}] for name in "abc"}
    return replace(context, supplied=supply([], actions, baseline=baseline))


@pytest.mark.parametrize(
    ("baseline", "reasons", "chosen"),
    [
        ("", ("always", None, None, None), 1),
        ("c", ("always", None, None, None), 3),
        ("c", ("always", None, None, "barred"), 1),
        ("", ("always", "barred", None, None), 2),
        ("b", (None, None, "barred", None), 1),
        ("b", (None, "barred", "barred", "barred"), 0),
    ],
)
def test_the_baseline_or_else_the_first_that_is_allowed(
    loop: Revision, baseline: str, reasons: tuple[str | None, ...], chosen: int
) -> None:
    answer = First.create(loop).distribution(asking(loop, baseline), Mask(reasons))
    assert answer.probabilities[chosen] == answer.probabilities.sum() == 1.0


def told(loop: Revision, baseline: str, mask: Mask) -> Lesson:
    (outcome,) = loop.agent.outcomes
    label = Label(outcome, happened=True, value=-1.0)
    return Lesson(asking(loop, baseline), mask, 1, 0.25, (label,), first=True)


def test_a_learner_comes_to_choose_what_is_shown_whatever_comes_of_it(loop: Revision) -> None:
    policy, every = VowpalRank.create(loop), Mask(("always", None, None, None))
    for _ in range(20):
        imitate(policy, First(), told(loop, "b", every))
    assert policy.distribution(asking(loop), every).probabilities.tolist() == [0, 0, 1, 0]


def test_without_a_choice_or_a_label_there_is_nothing_to_imitate(loop: Revision) -> None:
    policy = VowpalRank.create(loop)
    before = policy.to_bytes()
    imitate(policy, First(), told(loop, "b", Mask(("always", None, "barred", "barred"))))
    every = told(loop, "b", Mask(("always", None, None, None)))
    imitate(policy, First(), replace(every, labels=()))
    assert policy.to_bytes() == before


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        ("hybrid_thompson", "policy.learner: hybrid_thompson cannot choose among supplied actions"),
        ("fixed", "choose one of first, uniform, vw_rank"),
    ],
)
def test_a_loop_may_only_have_a_learner_that_ranks(
    loop: Revision, learner: str, message: str
) -> None:
    spec = loop.agent.policy.model_copy(update={"learner": learner, "settings": {}})
    wrong = Revision(loop.workspace, loop.agent.model_copy(update={"policy": spec}))
    with pytest.raises(ValueError, match=message):
        create_policy(wrong)


def test_offers_are_not_ranked_by_features_that_they_do_not_have(revision: Revision) -> None:
    spec = revision.agent.policy.model_copy(update={"learner": "vw_rank", "settings": {}})
    wrong = Revision(revision.workspace, revision.agent.model_copy(update={"policy": spec}))
    with pytest.raises(ValueError, match="policy.learner: vw_rank learns from the features"):
        create_policy(wrong)
