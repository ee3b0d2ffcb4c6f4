"""Contributions add up, are named after what they are of, and turn round with the question."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.context import Context
from agents.revision import Revision
from agents.spec import Agent, Workspace
from policies.explaining.contributions import _source, contributions
from policies.features.encode import Encoder
from policies.hybrid import HybridThompson
from policies.models.belief import Beliefs, Linear
from policies.models.logistic import sigmoid
from policies.samples import sample_contexts, sample_lessons

RICH = Path(__file__).parents[1] / "simulators" / "rich"


@pytest.fixture(scope="module", params=["example", "rich"])
def subject(request: pytest.FixtureRequest, revision: Revision) -> Revision:
    if request.param == "example":
        return revision
    workspace = Workspace.model_validate_json((RICH / "workspace.json").read_bytes())
    return Revision(workspace, Agent.model_validate_json((RICH / "agent.json").read_bytes()))


@pytest.fixture(scope="module")
def taught(subject: Revision) -> HybridThompson:
    policy = HybridThompson.create(subject)
    policy.update(sample_lessons(subject, 800, np.random.default_rng(1)))
    return policy


def pairs(revision: Revision) -> list[tuple[Context, int, int]]:
    rng = np.random.default_rng(2)
    actions = len(revision.actions)
    found = []
    for context in sample_contexts(revision, 30, rng):
        one, other = rng.choice(actions, 2, replace=False).tolist()
        found.append((context, one, other))
    return found


def test_they_add_up_to_the_difference_of_eta_by_outcome(
    subject: Revision, taught: HybridThompson
) -> None:
    for context, one, other in pairs(subject):
        entries = contributions(subject, taught, context, one, other)
        mean = taught.beliefs(context).mean  # (O, A)
        total = [sum(e.eta[outcome] for e in entries) for outcome in subject.agent.outcomes]
        assert total == pytest.approx((mean[:, one] - mean[:, other]).tolist(), abs=1e-9)


def test_in_currency_they_add_up_to_the_difference_at_the_mean_weights(
    subject: Revision, taught: HybridThompson
) -> None:
    values = np.array([outcome.worth for outcome in subject.agent.outcomes.values()])
    for context, one, other in pairs(subject):
        entries = contributions(subject, taught, context, one, other)
        gains = values @ sigmoid(taught.beliefs(context).mean)  # (A,)
        lead = gains[one] - gains[other] - subject.actions[one].cost + subject.actions[other].cost
        assert sum(entry.worth for entry in entries) == pytest.approx(lead, abs=1e-9)
        sizes = [abs(entry.worth) for entry in entries]
        assert sizes == sorted(sizes, reverse=True)


def test_the_question_turned_round_turns_every_sign(
    subject: Revision, taught: HybridThompson
) -> None:
    for context, one, other in pairs(subject)[:10]:
        there = contributions(subject, taught, context, one, other)
        back = {(e.kind, e.source): e for e in contributions(subject, taught, context, other, one)}
        assert len(back) == len(there)
        for entry in there:
            assert back[entry.kind, entry.source].worth == pytest.approx(-entry.worth, abs=1e-9)


def test_every_column_is_named_after_its_field_or_of_the_moment(subject: Revision) -> None:
    sources = [_source(subject, column) for column in Encoder(subject).names]
    learnable = {n for n, field in subject.workspace.customer.items() if field.learnable}
    assert {source for kind, source in sources if kind == "customer"} == learnable
    assert {source for kind, source in sources if kind == "moment"} == {
        "contacts", "hour", "weekday",
    }  # fmt: skip
    assert all(kind != "action" for kind, _ in sources)


def test_an_action_is_split_into_its_parts(subject: Revision, taught: HybridThompson) -> None:
    context = sample_contexts(subject, 1, np.random.default_rng(3))[0]
    last = len(subject.actions) - 1
    entries = contributions(subject, taught, context, last, 0)
    parts = {entry.source for entry in entries if entry.kind == "action"}
    assert {"offer", "channel", "action", "none"} <= parts
    assert "common" not in parts  # what all actions share tells none of them apart
    (cost,) = [entry.worth for entry in entries if entry.kind == "cost"]
    assert cost == -subject.actions[last].cost


@pytest.mark.parametrize("name", ["none"])
def test_a_field_may_be_called_as_a_level_is(revision: Revision, name: str) -> None:
    field = revision.workspace.customer["roaming_days"].model_copy(update={"feature": True})
    customer = {**revision.workspace.customer, name: field}
    renamed = revision.workspace.model_copy(update={"customer": customer})
    later = Revision(renamed, revision.agent)
    policy = HybridThompson.create(later)
    policy.update(sample_lessons(later, 300, np.random.default_rng(1)))
    for context, one, _ in pairs(later)[:10]:
        entries = contributions(later, policy, context, one, 0)
        mean = policy.beliefs(context).mean  # (O, A)
        total = [sum(e.eta[outcome] for e in entries) for outcome in later.agent.outcomes]
        assert total == pytest.approx((mean[:, one] - mean[:, 0]).tolist(), abs=1e-9)


def test_a_field_tells_the_value_that_it_has(subject: Revision, taught: HybridThompson) -> None:
    for context, one, other in pairs(subject):
        for entry in contributions(subject, taught, context, one, other):
            if entry.kind == "customer":
                assert entry.value == context.features.get(entry.source)
            else:
                assert entry.value is None


def test_equal_actions_differ_in_nothing(subject: Revision, taught: HybridThompson) -> None:
    context = sample_contexts(subject, 1, np.random.default_rng(4))[0]
    assert contributions(subject, taught, context, 1, 1) == ()


class Plain:
    """A linear learner without a link, of the example's shape: one field and one level count."""

    def __init__(self, revision: Revision) -> None:
        self._revision = revision

    def terms(self, context: Context, action: int) -> dict[str, NDArray[np.float64]]:
        outcomes = len(self._revision.agent.outcomes)
        return {
            "roaming_days": np.full(outcomes, 0.5 * action),
            "roaming_days?": np.full(outcomes, 0.25 * action),
            "offer x": np.arange(outcomes) * (1.0 + action),
        }

    def beliefs(self, context: Context) -> Beliefs:
        actions = range(len(self._revision.actions))
        sums = [sum(self.terms(context, action).values()) for action in actions]
        mean = np.array(sums).T  # (O, A)
        return Beliefs(mean, np.zeros_like(mean), "identity")


def test_without_a_link_eta_counts_in_full(revision: Revision) -> None:
    context = sample_contexts(revision, 1, np.random.default_rng(4))[0]
    policy = Plain(revision)
    assert isinstance(policy, Linear)
    found = {e.source: e for e in contributions(revision, policy, context, 2, 0)}
    values = [outcome.worth for outcome in revision.agent.outcomes.values()]
    assert found["roaming_days"].worth == pytest.approx(1.5 * sum(values))
    assert found["offer"].worth == pytest.approx(
        sum(2.0 * n * value for n, value in enumerate(values))
    )
    assert found["offer"].kind == "action"
