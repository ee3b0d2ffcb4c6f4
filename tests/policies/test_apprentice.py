from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from agents.errors import DocumentError, SnapshotError, UnknownNameError
from agents.groups import Group
from agents.load import parse_agent
from agents.mask import Mask
from agents.revision import Revision
from agents.spec import PolicySpec
from agents.yamlsource import read_yaml
from policies import checks
from policies.apprentice import agreement, join, split
from policies.base import Policy
from policies.decide import choose, decide
from policies.explaining.insight import explain_choice, explain_decision
from policies.registry import check_policy, create_policy, load_learner, load_policy
from policies.samples import sample_contexts, sample_lessons, sample_mask

Vary = Callable[..., Revision]


@pytest.fixture
def vary(revision: Revision) -> Vary:
    def build(incumbent: str | None = None, learner: str = "hybrid_thompson") -> Revision:
        beside = {"mode": "apprentice", "incumbent": {"learner": incumbent}}
        policy = PolicySpec.model_validate(
            {"learner": learner, "floor": 0.0} | (beside if incumbent else {})
        )
        agent = revision.agent.model_copy(update={"policy": policy})
        return Revision(revision.workspace, agent)

    return build


def taught(revision: Revision, count: int = 60) -> Policy:
    policy = create_policy(revision)
    policy.update(sample_lessons(revision, count, np.random.default_rng(4)))
    return policy


@pytest.mark.parametrize("incumbent", ["uniform", "beta_thompson"])
def test_the_incumbent_decides_and_the_learner_says_what_it_expects(
    vary: Vary, incumbent: str
) -> None:
    beside, alone, other = vary(incumbent), vary(), vary(learner=incumbent)
    policy = taught(beside)
    rng = np.random.default_rng(9)
    for context in sample_contexts(beside, 5, rng):
        mask = sample_mask(beside, rng)
        answer = policy.distribution(context, mask)
        decided = taught(other).distribution(context, mask)
        believed = taught(alone).distribution(context, mask)
        assert np.array_equal(answer.probabilities, decided.probabilities)
        assert np.array_equal(answer.expected, believed.expected)


def test_an_insight_names_the_incumbent_where_it_decided(vary: Vary) -> None:
    revision = vary("uniform")
    policy = taught(revision)
    (context,) = sample_contexts(revision, 1, np.random.default_rng(9))
    mask = Mask((None,) * len(revision.actions))
    for group, by in ((Group.TREATMENT, "uniform"), (Group.RANDOM, None)):
        decision = choose(
            revision, policy, context, mask, group, decision_id="1", secret=b"s", snapshot=""
        )
        insight = explain_decision(revision, policy, decision)
        assert insight.incumbent == by
        assert insight.explored == (insight.best != insight.action)  # by what the learner expects
    assert explain_choice(revision, policy, context, mask).incumbent == "uniform"
    alone = vary()
    assert explain_choice(alone, taught(alone), context, mask).incumbent is None


def test_switching_to_online_and_back_keeps_all_that_was_learned(vary: Vary) -> None:
    beside, alone = vary("uniform"), vary()
    policy, same = taught(beside), taught(alone)
    assert policy.name == same.name == "hybrid_thompson"
    online = load_policy(policy.name, policy.to_bytes(), alone)
    assert online.to_bytes() == same.to_bytes()
    assert load_learner(policy.name, policy.to_bytes(), beside).to_bytes() == same.to_bytes()
    back = load_policy(online.name, online.to_bytes(), beside)
    assert back.to_bytes() == policy.to_bytes()


def test_another_incumbent_begins_untaught_and_the_same_goes_on(vary: Vary) -> None:
    policy = taught(vary("beta_thompson"))
    state = policy.to_bytes()
    assert load_policy(policy.name, state, vary("beta_thompson")).to_bytes() == state
    other = load_policy(policy.name, state, vary("uniform"))
    own, name, _ = split(other.to_bytes())
    assert (own, name) == (split(state)[0], "uniform")


@pytest.mark.parametrize("check", checks.ALL_CHECKS, ids=lambda check: check.__name__)
def test_an_apprentice_keeps_the_contract(vary: Vary, check: checks.Check) -> None:
    check(create_policy, vary("beta_thompson"))


def test_a_state_cut_short_is_refused() -> None:
    state = join(b"own", "uniform", b"other")
    for size in range(len(b"apprentice\n"), state.index(b"\n", 11)):
        with pytest.raises(SnapshotError, match="expected the state of an apprentice"):
            split(state[:size])


def test_a_mode_and_an_incumbent_belong_together() -> None:
    message = "and an 'incumbent' together, or neither; got mode"
    with pytest.raises(ValidationError, match=f"{message} 'apprentice' and no incumbent"):
        PolicySpec.model_validate({"mode": "apprentice"})
    with pytest.raises(ValidationError, match=f"{message} 'online' and an incumbent"):
        PolicySpec.model_validate({"incumbent": {"learner": "uniform"}})


@pytest.mark.parametrize(
    ("incumbent", "place", "message"),
    [
        ("{learner: unifrom}", "policy.incumbent.learner", "did you mean 'uniform'?"),
        ("{learner: beta_thompson, settings: {nonsense: 1}}", "policy.incumbent.settings", "no"),
    ],
)
def test_a_wrong_incumbent_is_refused_at_its_place(
    revision: Revision, incumbent: str, place: str, message: str
) -> None:
    text = (
        "agent: a\noutcomes: {o: {value: 1, window: 7d}}\n"
        "offers: {x: {kind: service, variants: {v: {text: Hi}}, channels: [email]}}\n"
        f"policy: {{mode: apprentice, incumbent: {incumbent}}}\n"
    )
    source = read_yaml(text, "agents/a.yaml")
    wrong = Revision(revision.workspace, parse_agent(source, revision.workspace))
    with pytest.raises(DocumentError, match=message) as caught:
        check_policy(wrong, source)
    assert f"at {place}" in str(caught.value)
    assert "agents/a.yaml:4" in str(caught.value)
    with pytest.raises((UnknownNameError, ValueError)):
        create_policy(wrong)


def test_agreement_counts_choices_in_which_both_do_the_same(vary: Vary) -> None:
    beside = vary("beta_thompson")
    policy = taught(beside)
    decisions = [
        decide(beside, policy, context, decision_id=f"d{n}", secret=b"s")
        for n, context in enumerate(sample_contexts(beside, 40, np.random.default_rng(2)))
    ]
    found = agreement(decisions, {beside.id: beside})
    assert 0 < found.same < found.decisions <= 40
    assert found.share == found.same / found.decisions
    by_expected = []
    for decision in decisions:
        certain = np.where(np.isnan(decision.expected), -np.inf, decision.expected)
        certain = np.where(decision.mask.allowed, certain, -np.inf)
        onehot = np.eye(len(certain))[int(np.argmax(certain))]
        by_expected.append(replace(decision, distribution=onehot))
    assert agreement(by_expected, {beside.id: beside}) == (found.decisions, found.decisions)
    assert np.isnan(agreement([], {}).share)


@pytest.mark.parametrize("over", ["actions", "offers"])
def test_a_floor_does_not_change_whether_both_agree(vary: Vary, over: str) -> None:
    beside = vary("uniform")
    spec = beside.agent.policy.model_copy(update={"floor": 0.3, "floor_over": over})
    beside = Revision(beside.workspace, beside.agent.model_copy(update={"policy": spec}))
    policy = taught(beside)
    decisions = [
        decide(beside, policy, context, decision_id=f"d{n}", secret=b"s")
        for n, context in enumerate(sample_contexts(beside, 40, np.random.default_rng(2)))
    ]
    found = agreement(decisions, {beside.id: beside})
    assert found.same == found.decisions > 0  # to the incumbent, all actions are alike


@pytest.mark.parametrize("learner", ["uniform", "fixed"])
def test_what_learns_nothing_is_no_apprentice(vary: Vary, learner: str) -> None:
    with pytest.raises(ValueError, match=f"{learner} learns nothing, so it can be no apprentice"):
        create_policy(vary("uniform", learner))
