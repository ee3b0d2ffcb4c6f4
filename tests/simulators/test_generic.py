from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from agents.catalog import example_folder, example_names
from agents.context import FeatureValue
from agents.errors import ContextError
from agents.load import load_workspace
from agents.memory import Memory
from agents.revision import Revision
from agents.spec import Channel
from policies.hybrid import HybridThompson
from policies.uniform import Uniform
from simulators.checks import check_features_fit, check_frequencies, check_windows
from simulators.env import CustomerEnv
from simulators.reports import reports_of
from simulators.rollout import rollout
from simulators.schema import ZONES, name_uniform, trait_names, traits
from simulators.truth import value_of_none
from simulators.worlds.anything import Generic

SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def market(rich: Revision) -> Generic:
    return Generic(rich, customers=2_000, rounds=2, seed=5)


def values(market: Generic, name: str) -> list[FeatureValue]:
    return [row[name] for row in market.population.rows if name in row]


def share(market: Generic, name: str) -> float:
    return float(np.mean([bool(value) for value in values(market, name)]))


def test_customers_are_drawn_from_the_declared_fields(market: Generic, rich: Revision) -> None:
    ages, balances = values(market, "age"), values(market, "balance")
    assert all(isinstance(age, int) and 16 <= age <= 95 for age in ages)
    assert all(isinstance(b, float) and -500.0 <= b <= 10_000.0 for b in balances)
    assert {16, 95} <= set(ages)
    assert set(values(market, "plan")) == {"basic", "plus"}
    interests = [held for held in values(market, "interests") if isinstance(held, tuple)]
    assert {member for held in interests for member in held} == {"sport", "music", "travel"}
    assert () in interests
    assert set(values(market, "time_zone")) == set(ZONES)
    assert set(values(market, "language")) == {"en", "de"}
    bought = [at for at in values(market, "last_purchase") if isinstance(at, datetime)]
    days = [(at - market.start) / timedelta(days=1) for at in bought]
    assert -365.0 <= min(days) < -300.0
    assert 20.0 < max(days) <= 30.0
    for row in market.population.rows:
        rich.context("ann", market.start, row)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("consent_email", 0.85), ("no_sms", 0.03), ("leave_me_alone", 0.03), ("loyal", 0.25)],
)
def test_consent_is_mostly_given_and_seldom_withdrawn(
    market: Generic, name: str, expected: float
) -> None:
    error = np.sqrt(expected * (1.0 - expected) / len(values(market, name)))
    assert abs(share(market, name) - expected) < 4.0 * error


def test_optional_fields_are_sometimes_unknown_and_required_ones_never(market: Generic) -> None:
    assert len(values(market, "age")) == market.customers
    missing = 1.0 - len(values(market, "plan")) / market.customers
    assert abs(missing - 0.04) < 4.0 * np.sqrt(0.04 * 0.96 / market.customers)


def test_a_new_field_or_more_customers_change_nothing_else(rich: Revision) -> None:
    customer = {name: field for name, field in rich.workspace.customer.items() if name != "visits"}
    workspace = rich.workspace.model_copy(update={"customer": customer})
    small = Generic(Revision(workspace, rich.agent), customers=5)
    large = Generic(rich, customers=50)
    for less, more in zip(small.population.rows, large.population.rows, strict=False):
        assert less == {name: value for name, value in more.items() if name != "visits"}


def test_the_truth_is_of_the_names_and_not_of_the_seed(rich: Revision) -> None:
    one, two = Generic(rich, seed=1, customers=3), Generic(rich, seed=2, customers=3)
    assert np.array_equal(one._effects, two._effects)
    assert one.population.rows != two.population.rows
    assert name_uniform("base", "purchase") == pytest.approx(0.2355340, abs=1e-6)


def test_untouched_customers_do_it_at_the_base_rate(market: Generic) -> None:
    market.reset()
    rates = np.array(
        [market.outcome_probabilities(c, market.start)[0] for c in range(market.customers)]
    ).mean(axis=0)  # (O,)
    assert market.outcomes == ("purchase", "refund", "complained")
    assert 0.005 < rates[0] < 0.1
    assert 0.001 < rates[1] < 0.02
    assert 0.001 < rates[2] < 0.02


def test_nothing_under_none_depends_on_contacts(market: Generic) -> None:
    market.reset()
    at = market.start
    rested = market.outcome_probabilities(0, at)
    market.record(0, 3, at - SECOND, [])
    tired = market.outcome_probabilities(0, at)
    market.reset()
    assert np.array_equal(tired[0], rested[0])
    assert np.all(tired[1:, 2] > rested[1:, 2])  # harm
    effect, weaker = (np.log(p / (1 - p)) for p in (rested[:, 0], tired[:, 0]))
    assert np.all(np.abs(weaker[1:] - weaker[0]) < np.abs(effect[1:] - effect[0]))


def test_actions_suit_some_customers_and_not_others(market: Generic) -> None:
    market.reset()
    best = [int(np.argmax(market.expected_rewards(c, market.start))) for c in range(300)]
    assert len(set(best)) >= 4
    rewards = np.array([market.expected_rewards(c, market.start) for c in range(300)])  # (N, A)
    assert rewards.max(axis=1).mean() > rewards.mean(axis=0).max() + 0.1  # currency a decision


def test_a_word_is_worth_all_its_outcomes_and_carries_its_amount(rich: Revision) -> None:
    known = reports_of(rich.agent)
    assert list(known) == ["purchase", "refund", "complained"]
    assert (known["purchase"].value, known["refund"].value) == (40.0 + 2.5, -30.0)
    assert known["purchase"].window == timedelta(days=2)  # so that it counts for both
    assert known["purchase"].properties == {"amount": 40.0}
    assert known["complained"].properties == {}


def test_rewards_are_what_the_world_expects(rich: Revision) -> None:
    market = Generic(rich, customers=1_200, rounds=2, seed=2)
    run = rollout(market, Uniform())
    truth = run.expected[np.arange(len(run.actions)), run.actions]  # (N,)
    off = run.rewards() - truth  # (N,)
    assert abs(off.mean()) < 4.0 * off.std() / np.sqrt(len(off))
    assert {"purchase", "refund"} <= {event.outcome for event in run.events}
    assert {frozenset(event.properties) for event in run.events} == {
        frozenset(), frozenset({"amount"}),
    }  # fmt: skip


def test_the_value_of_silence_is_exact(rich: Revision) -> None:
    market = Generic(rich, customers=40, rounds=3)
    found = value_of_none(market)
    due = np.mean(
        [
            sum(market.expected_rewards(c, market.opportunity(c, i))[0] for i in range(3))
            for c in range(40)
        ]
    )
    assert found.mean == pytest.approx(due)


def test_a_learner_lives_in_it(rich: Revision) -> None:
    market = Generic(rich, customers=60, rounds=3)
    learner = HybridThompson.create(rich)
    before = learner.to_bytes()
    run = rollout(market, learner)
    assert len(run.decisions) == 180
    assert learner.to_bytes() != before


def test_traits_are_scaled_and_zero_where_unknown(rich: Revision, market: Generic) -> None:
    names, at = trait_names(rich.workspace), market.start
    x = dict(zip(names, traits(rich.workspace, {}, at), strict=True))
    assert set(x.values()) == {0.0}
    known: dict[str, FeatureValue] = {
        "age": 95,
        "plan": "plus",
        "interests": ("music",),
        "loyal": False,
        "last_purchase": at,
    }
    y = dict(zip(names, traits(rich.workspace, known, at), strict=True))
    assert {name: value for name, value in y.items() if value} == {
        "age": 1.0, "plan=plus": 1.0, "interests=music": 1.0, "loyal": -1.0, "last_purchase": 1.0,
    }  # fmt: skip
    assert not {"time_zone", "first_name", "consent_email"} & set(names)
    for row in market.population.rows:
        assert np.abs(traits(rich.workspace, row, at)).max() <= 1.0


def test_environments_show_sets_and_instants(rich: Revision) -> None:
    env = CustomerEnv("generic", rich, rounds=3)
    for seed in range(30):
        observation, info = env.reset(seed=seed)
        env.action_space.seed(seed)
        over = False
        while not over:
            assert observation in env.observation_space
            action = env.action_space.sample(info["action_mask"])
            observation, _, over, _, info = env.step(action)
    assert set(observation["customer"]) >= {"interests", "last_purchase"}
    assert observation["customer"]["interests"].shape == (3,)


def test_events_reach_the_guardrails_of_later_decisions(rich: Revision) -> None:
    pause = {"rule": "cooldown", "pause": "300d", "after": ["purchase"], "scope": "all"}
    agent = type(rich.agent).model_validate(
        rich.agent.model_dump(mode="python") | {"guardrails": {"enough": pause}}, strict=False
    )
    market = Generic(Revision(rich.workspace, agent), customers=600, rounds=4)
    run = rollout(market, Uniform())
    bought = {e.decision_id for e in run.events if e.outcome == "purchase"}
    late = [d for d in run.decisions if any(e.decision_id in bought for e in d.context.events)]
    assert all(decision.mask.all_barred for decision in late)
    reasons = [reason or "" for decision in late for reason in decision.mask.reasons]
    assert any(reason.startswith("enough: ") for reason in reasons)


@pytest.mark.parametrize("name", example_names())
def test_it_fits_every_example(name: str) -> None:
    with example_folder(name) as folder:
        revisions = load_workspace(folder).revisions
    for revision in revisions.values():
        if revision.agent.supplied is not None:
            with pytest.raises(ContextError, match="POST /loops/"):
                Generic(revision)
            continue
        for check in (check_features_fit, check_windows, check_frequencies):
            check(Generic, revision)
        run = rollout(Generic(revision, customers=20, rounds=2), Uniform())
        failed = [r for d in run.decisions for r in d.mask.reasons if r and "be checked" in r]
        assert not failed


def test_the_first_meeting_knows_nothing_of_the_past(market: Generic) -> None:
    at: datetime = market.opportunity(0, 0)
    context = market.context(0, at, Memory())
    assert (context.contacts, context.events) == ((), ())


def test_visits_ask_for_a_placement_where_there_are_any(rich: Revision) -> None:
    assert {Generic(rich, customers=9).placement(c, i) for c in range(9) for i in range(5)} == {""}
    channels = {
        **rich.workspace.channels,
        "site": Channel(placements=("banner", "basket")),
        "app": Channel(placements=("banner",)),
    }
    hello = rich.agent.offers["hello"].model_copy(update={"channels": ("sms", "site", "app")})
    agent = rich.agent.model_copy(update={"offers": rich.agent.offers | {"hello": hello}})
    workspace = rich.workspace.model_copy(update={"channels": channels})
    market = Generic(Revision(workspace, agent), customers=500, rounds=2)
    run = rollout(market, Uniform())
    seen = [decision.context.placement for decision in run.decisions]
    for slot in ("banner", "basket"):
        assert abs(seen.count(slot) - 1_000 / 6) < 4.0 * np.sqrt(1_000 * (1 / 6) * (5 / 6))
    drawn = {(d.context.placement != "", "@s" in d.action_id) for d in run.decisions}
    assert drawn >= {(True, True), (False, False)}
    for decision in run.decisions:
        channel = market.revision.actions[decision.action].channel
        if channel:
            assert (channel in ("site", "app")) == (decision.context.placement != "")
