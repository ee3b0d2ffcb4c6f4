from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.groups import Group
from agents.memory import Memory
from agents.revision import Revision
from policies.uniform import Uniform
from simulators.customers import CHANNELS, RESPONSES, TRAITS
from simulators.results import Rollout
from simulators.rollout import rollout
from simulators.truth import realised_value, value_of_none, value_of_uniform
from simulators.world import World
from simulators.worlds import create_world
from simulators.worlds.retention import Retention

DAY = timedelta(days=1)
RENEWED, UPGRADED, COMPLAINED, UNSUBSCRIBED = range(4)


@pytest.fixture(scope="module")
def market(revision: Revision) -> Retention:
    return Retention(revision, customers=500, rounds=6, seed=2)


@pytest.fixture(scope="module")
def random_run(market: Retention) -> Rollout:
    return rollout(market, Uniform(), group=Group.RANDOM)


def first(market: Retention, outcome: str) -> tuple[int, int, datetime, datetime]:
    """Find a contact that brings an outcome: customer, action, at, arrival.

    The customer has no open complaint and has given all consents.
    """
    for customer in range(market.customers):
        at = market.opportunity(customer, 0)
        known = market.population.observed(customer, 0)
        if known["open_complaint"] or not all(known[f"consent_{c}"] for c in CHANNELS):
            continue
        for action in range(1, len(market.revision.actions)):
            market.reset()
            for name, arrives, _ in market.respond(customer, 0, action, at):
                if name == outcome:
                    return customer, action, at, arrives
    raise AssertionError(f"no {outcome} in {market.customers} customers")


def typical(market: Retention, response: str) -> NDArray[np.intp]:
    return np.flatnonzero(market.population.response == RESPONSES.index(response))


def test_there_is_much_to_learn_inside_the_guardrails(random_run: Rollout) -> None:
    allowed = np.stack([d.mask.allowed for d in random_run.decisions])  # (N, A)
    best = np.where(allowed, random_run.expected, -np.inf).max(axis=1)  # (N,)
    drawn = realised_value(random_run.expected, random_run.distributions)  # (N,)
    assert (best - drawn).mean() > 1.0  # EUR a decision


def test_uniform_contact_does_not_lose_against_silence(market: Retention) -> None:
    none, uniform = value_of_none(market), value_of_uniform(market, repeats=1)
    assert uniform.mean > none.mean > 0.0


def test_rewards_are_noisy_but_not_hopeless(random_run: Rollout) -> None:
    assert 8.0 < random_run.rewards().std() < 14.0


def test_rates_are_those_of_a_telecom(market: Retention) -> None:
    market.reset()
    rates = np.stack(
        [market.outcome_probabilities(c, market.opportunity(c, 0)) for c in range(500)]
    )  # (N, A, O)
    quiet = rates[:, 0].mean(axis=0)  # (O,)
    assert 0.003 < quiet[RENEWED] < 0.03
    assert 0.003 < quiet[UPGRADED] < 0.02
    assert 0.01 < quiet[COMPLAINED] < 0.05
    assert quiet[UNSUBSCRIBED] == 0.0
    assert 0.002 < rates[:, 1:, UNSUBSCRIBED].mean() < 0.05


def test_an_unsubscription_withdraws_the_consent_of_its_channel(market: Retention) -> None:
    customer, action, at, arrives = first(market, "unsubscribed")
    chosen = market.revision.actions[action]
    field = f"consent_{chosen.channel}"
    before = market.features(customer, arrives - timedelta(microseconds=1))
    after = market.features(customer, arrives)
    assert before[field] is True
    assert after[field] is False
    assert {k: v for k, v in after.items() if k != field} == {
        k: v for k, v in before.items() if k != field
    }
    mask = market.revision.mask(market.context(customer, at + 14 * DAY, Memory()))
    barred = [
        mask.reasons[i] or ""
        for i, a in enumerate(market.revision.actions)
        if a.channel == chosen.channel
    ]
    assert all(barred)


def test_a_renewal_begins_a_new_term_and_happens_once(market: Retention) -> None:
    customer, _, at, arrives = first(market, "renewed")
    assert market.outcome_probabilities(customer, at)[:, RENEWED].max() == 0.0
    assert market.features(customer, arrives)["contract_months_left"] == 24
    before = market.features(customer, arrives - timedelta(microseconds=1))
    assert before["contract_months_left"] != 24


def test_an_upgrade_moves_the_plan_up_and_happens_once(market: Retention) -> None:
    customer, _, at, arrives = first(market, "upgraded")
    before, after = market.features(customer, at), market.features(customer, arrives)
    plans = ["basic", "plus", "unlimited"]
    assert plans.index(str(after["plan"])) == plans.index(str(before["plan"])) + 1
    assert market.outcome_probabilities(customer, at)[:, UPGRADED].max() == 0.0


def test_nobody_upgrades_from_the_largest_plan(market: Retention) -> None:
    market.reset()
    largest = np.flatnonzero(market.population.features["plan"] == "unlimited")
    rates = [market.outcome_probabilities(int(c), market.start)[:, UPGRADED] for c in largest]
    assert np.max(rates) == 0.0


def test_a_complaint_stays_open_for_two_weeks(market: Retention) -> None:
    customer, _, _, arrives = first(market, "complained")
    times = (arrives - timedelta(microseconds=1), arrives, arrives + 13 * DAY, arrives + 14 * DAY)
    opened = [market.features(customer, at)["open_complaint"] for at in times]
    assert opened == [False, True, True, False]


def test_fatigue_weakens_messages_annoys_and_passes(market: Retention) -> None:
    lock = market.revision.index("loyalty_credit/price_lock@email#morning")
    customer = int(typical(market, "persuadable")[0])
    at = market.start
    market.reset()
    rested = market.outcome_probabilities(customer, at)
    market.record(customer, lock, at - DAY, [])
    market.record(customer, lock, at - DAY, [])
    tired = market.outcome_probabilities(customer, at)
    later = market.outcome_probabilities(customer, at + 25 * DAY)
    assert np.array_equal(tired[0], rested[0])  # nothing is sent, nobody is annoyed
    assert tired[lock, RENEWED] < later[lock, RENEWED] < rested[lock, RENEWED]
    assert tired[lock, UNSUBSCRIBED] > later[lock, UNSUBSCRIBED] > rested[lock, UNSUBSCRIBED]
    assert np.all(tired[1:, COMPLAINED] > rested[1:, COMPLAINED] * 0.99)


def test_types_respond_as_their_names_say(market: Retention) -> None:
    market.reset()
    at, lock = market.start, market.revision.index("loyalty_credit/price_lock@email#morning")
    uplift = {}
    for response in RESPONSES:
        rates = [market.outcome_probabilities(int(c), at) for c in typical(market, response)]
        uplift[response] = np.mean([r[lock, RENEWED] - r[0, RENEWED] for r in rates])
    assert uplift["persuadable"] > 5.0 * abs(uplift["lost_cause"])
    assert uplift["persuadable"] > uplift["sure_thing"] > 0.0 > uplift["sleeping_dog"]


def test_variants_suit_customers_that_features_tell_apart(market: Retention) -> None:
    market.reset()
    at, plan = market.start, market.population.features["plan"]
    lock, thanks = (
        market.revision.index(f"loyalty_credit/{name}@sms") for name in ("price_lock", "thank_you")
    )
    ahead = {}
    for name in ("basic", "unlimited"):
        rewards = [market.expected_rewards(int(c), at) for c in np.flatnonzero(plan == name)]
        ahead[name] = np.mean([r[lock] - r[thanks] for r in rewards])
    assert ahead["basic"] > 0.5
    assert ahead["unlimited"] < -0.5


def test_explaining_the_bill_prevents_complaints_of_the_shocked(market: Retention) -> None:
    market.reset()
    shock = market.population.traits[:, 0, TRAITS.index("shock")]
    people = [int(c) for c in typical(market, "persuadable") if shock[c] > 0.8]
    plain = market.revision.index("bill_explained/plain@email#morning")
    rates = [market.outcome_probabilities(c, market.start) for c in people]
    quiet, explained = (np.mean([r[a, COMPLAINED] for r in rates]) for a in (0, plain))
    assert explained < 0.7 * quiet


def test_app_users_prefer_push_and_evenings(market: Retention) -> None:
    app = market.population.features["app_user"].astype(bool)
    fit, time = market.population.channel_fit, market.population.time_fit
    assert fit[app, 2].mean() > 2.0 * fit[~app, 2].mean()
    assert time[app, 1].mean() > 2.0 * time[~app, 1].mean()


def test_a_shorter_window_leaves_exactly_its_share(
    revision: Revision, edited: Callable[[str, str], Revision]
) -> None:
    shorter = edited("renewed: {value: 80, window: 14d}", "renewed: {value: 80, window: 3d}")
    long, short = Retention(revision, customers=5), Retention(shorter, customers=5)
    delay = Retention.delays[RENEWED]
    ratio = delay.share_within(3 * DAY) / delay.share_within(14 * DAY)
    for customer in range(5):
        before = long.outcome_probabilities(customer, long.start)
        after = short.outcome_probabilities(customer, long.start)
        assert after[:, RENEWED] == pytest.approx(before[:, RENEWED] * ratio)
        assert np.array_equal(after[:, COMPLAINED], before[:, COMPLAINED])


def test_an_outcome_that_is_not_declared_happens_unheard(
    market: Retention, edited: Callable[[str, str], Revision]
) -> None:
    customer, action, at, _ = first(market, "unsubscribed")
    deaf = Retention(
        edited("  unsubscribed: {value: -15, window: 7d}\n", ""), customers=500, rounds=6, seed=2
    )
    heard = deaf.respond(customer, 0, action, at)
    assert "unsubscribed" not in {happening.outcome for happening in heard}
    field = f"consent_{deaf.revision.actions[action].channel}"
    assert deaf.features(customer, at + 14 * DAY)[field] is False


def test_an_unknown_offer_has_the_effect_of_its_kind(
    market: Retention, edited: Callable[[str, str], Revision]
) -> None:
    market.reset()
    other = Retention(edited("  loyalty_credit:", "  gift_box:"), customers=500, rounds=6, seed=2)
    gift = other.revision.index("gift_box/thank_you@email#morning")
    at, people = other.start, typical(other, "persuadable")
    rates = [other.outcome_probabilities(int(c), at) for c in people]
    assert np.mean([r[gift, RENEWED] for r in rates]) > 1.2 * np.mean(
        [r[0, RENEWED] for r in rates]
    )
    same = market.revision.index("bill_explained/plain@sms")
    assert np.array_equal(
        rates[0][other.revision.index("bill_explained/plain@sms")],
        market.outcome_probabilities(int(people[0]), at)[same],
    )


def test_only_declared_fields_are_shown(revision: Revision) -> None:
    fields = {k: v for k, v in revision.workspace.customer.items() if k != "age"}
    workspace = revision.workspace.model_copy(update={"customer": fields})
    world: World = create_world("retention", Revision(workspace, revision.agent), customers=5)
    assert set(world.features(0, world.start)) <= set(fields)


def test_bills_change_with_the_month(market: Retention) -> None:
    market.reset()
    months = [
        [market.features(c, market.start + n * DAY)["bill_change"] for c in range(100)]
        for n in (0, 29, 30, 400)
    ]
    assert months[0] == months[1] != months[2] == months[3]
