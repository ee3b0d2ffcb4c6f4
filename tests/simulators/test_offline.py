from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta

import numpy as np
import pytest

from agents.groups import Group
from agents.revision import Revision
from agents.tabular.columns import instant_of, microseconds
from policies.base import Policy
from policies.registry import create_policy
from policies.teaching import delay
from policies.uniform import Uniform
from simulators.market.market import Market
from simulators.offline.play import play
from simulators.offline.record import Played
from simulators.results import Rollout
from simulators.rollout import rollout
from simulators.worlds.telecom import Telecom

DAY = timedelta(days=1)
Edited = Callable[[str, str], Revision]


def same(played: Played, run: Rollout) -> None:
    made = played.decided
    assert np.array_equal(made.customer, run.customers)
    assert np.array_equal(made.round_index, run.rounds)
    assert np.array_equal(made.action, run.actions)
    assert [instant_of(at) for at in made.at.tolist()] == [d.at for d in run.decisions]
    assert made.propensity.tolist() == [d.propensity for d in run.decisions]
    assert made.explored.tolist() == [d.explored for d in run.decisions]
    assert made.taken == pytest.approx(run.expected[np.arange(len(made.action)), made.action])
    assert made.mean == pytest.approx((run.expected * run.distributions).sum(axis=1))
    assert made.none == pytest.approx(run.expected[:, 0])
    heard = [(played.words[word], at) for word, at in zip(
        played.followed.word.tolist(), played.followed.at.tolist(), strict=True)]  # fmt: skip
    assert heard == [(event.outcome, microseconds(event.at)) for event in run.events]
    assert played.rewards() == pytest.approx(run.rewards())
    for group in Group:
        assert np.array_equal(played.in_group(group), run.in_group(group))


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let delay curves be known after so few outcomes that a small world drips."""
    monkeypatch.setattr(delay, "KNOWN", 6)
    monkeypatch.setattr(delay, "_EVERY", 3)
    monkeypatch.setattr(delay, "_LAST", 8)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("every", [DAY, 10 * DAY])
def test_a_learning_policy_decides_and_learns_as_in_a_rollout(
    revision: Revision, every: timedelta
) -> None:
    market = Telecom(revision, customers=250, rounds=6, seed=5)
    first, second = create_policy(revision), create_policy(revision)
    played = play(market, first, every=every)
    run = rollout(market, second, every=every)
    assert len(run.events) > 40
    same(played, run)
    assert first.to_bytes() == second.to_bytes()


@pytest.mark.parametrize("learner", ["beta_thompson", "uniform"])
@pytest.mark.usefixtures("soon")
def test_a_policy_that_learns_one_by_one_does_so_too(edited: Edited, learner: str) -> None:
    revision = edited("learner: hybrid_thompson", f"learner: {learner}")
    market = Telecom(revision, customers=120, rounds=4, every=4 * DAY)
    first, second = create_policy(revision), create_policy(revision)
    same(play(market, first), rollout(market, second, every=DAY))
    assert first.to_bytes() == second.to_bytes()


@pytest.mark.parametrize("group", list(Group))
def test_everybody_in_one_group(revision: Revision, group: Group) -> None:
    market = Telecom(revision, customers=60, rounds=3)
    played = play(market, Uniform(), group=group, learn=False)
    same(played, rollout(market, Uniform(), group=group, learn=False))
    assert played.in_group(group).all()


@pytest.mark.usefixtures("soon")
def test_a_market_with_every_part(everything: type[Market], revision: Revision) -> None:
    market = everything(revision, customers=120, rounds=5, every=2 * DAY)
    policies: list[Policy] = [create_policy(revision), create_policy(revision)]
    same(play(market, policies[0]), rollout(market, policies[1], every=DAY))
    assert policies[0].to_bytes() == policies[1].to_bytes()


BUDGETS = """guardrails:
  credits: {rule: budget, measure: cost, max: 40, per: month, on: {offers: [loyalty_credit]}}
  texts: {rule: budget, max: 9, per: day, on: {channels: [sms]}}
"""


def test_budgets_are_used_one_after_another(edited: Edited) -> None:
    revision = edited("guardrails:\n", BUDGETS)
    assert revision.counters
    market = Telecom(revision, customers=400, rounds=2)
    played = play(market, Uniform(), learn=False)
    same(played, rollout(market, Uniform(), learn=False))
    free = play(Telecom(edited("\n", "\n"), customers=400, rounds=2), Uniform(), learn=False)
    assert (played.decided.action == 0).sum() > (free.decided.action == 0).sum()


def test_some_customers_are_met_alone(revision: Revision) -> None:
    market, chosen = Telecom(revision, customers=40, rounds=3), [7, 30, 2]
    whole = play(market, Uniform(), learn=False).decided
    part = play(market, Uniform(), learn=False, customers=chosen).decided
    mine = np.isin(whole.customer, chosen)
    for column in fields(whole):
        assert np.array_equal(getattr(whole, column.name)[mine], getattr(part, column.name))


def test_without_truth_nothing_else_changes(revision: Revision) -> None:
    market, done = Telecom(revision, customers=30, rounds=2), list[int]()
    with_truth = play(market, Uniform(), progress=done.append)
    without = play(market, Uniform(), truth=False)
    assert np.isnan(without.decided.best).all()
    assert np.array_equal(with_truth.decided.action, without.decided.action)
    assert (with_truth.decided.best >= with_truth.decided.taken).all()
    assert done == sorted(done)
    assert done[-1] == 60


def test_a_span_that_is_none_is_refused(revision: Revision) -> None:
    market = Telecom(revision, customers=2, rounds=1)
    with pytest.raises(ValueError, match=r"^every: expected a span above 0, got 0:00:00$"):
        play(market, Uniform(), every=timedelta(0))
    with pytest.raises(ValueError, match=r"^every: expected a span above 0, got 0:00:00$"):
        rollout(market, Uniform(), every=timedelta(0))
