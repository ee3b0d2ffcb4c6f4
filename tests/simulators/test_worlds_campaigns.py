"""Telecom, bank, retailer, streaming, health insurer: target rates, and that doing right pays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.revision import Revision
from agents.tabular.columns import microseconds
from simulators.examples import example_revision
from simulators.market.market import Market
from simulators.worlds import (
    WORLDS,
    bank,
    default_world,
    health_insurer,
    retailer,
    streaming,
    telecom,
)
from simulators.worlds.bank import Bank
from simulators.worlds.health_insurer import HealthInsurer
from simulators.worlds.retailer import Retailer
from simulators.worlds.streaming import Streaming
from simulators.worlds.telecom import Telecom

Numbers = NDArray[np.float64]
Places = NDArray[np.int64]
Choose = Callable[[Market, Places, datetime, np.random.Generator], Places]

UNTOUCHED = {
    Telecom: telecom.UNTOUCHED, Bank: bank.UNTOUCHED, Retailer: retailer.UNTOUCHED,
    Streaming: streaming.UNTOUCHED, HealthInsurer: health_insurer.UNTOUCHED,
}  # fmt: skip
WRITTEN_TO = {
    Telecom: telecom.WRITTEN_TO, Bank: bank.WRITTEN_TO, Retailer: retailer.WRITTEN_TO,
    Streaming: streaming.WRITTEN_TO, HealthInsurer: health_insurer.WRITTEN_TO,
}  # fmt: skip
CAMPAIGNS = list(UNTOUCHED)
DRAWN_BY_TYPE = {
    Telecom: set(), Bank: set(), Retailer: {"first_name"},
    Streaming: set(), HealthInsurer: {"first_name"},
}  # fmt: skip
"""Fields of which a world has nothing to say: texts."""


class Played(NamedTuple):
    """What became of a market's customers; N customers, R rounds, O outcomes."""

    market: Market
    value: Numbers  # (N, R) true expected reward of what was done
    counts: Numbers  # (N, O)
    waited: dict[str, Numbers]  # by outcome, days until it came


def made_for(world: type[Market]) -> Revision:
    return example_revision(world.spec.example, world.spec.agent)


def none(market: Market, rows: Places, at: datetime, luck: np.random.Generator) -> Places:
    del market, at, luck
    return np.zeros_like(rows)


def anything(market: Market, rows: Places, at: datetime, luck: np.random.Generator) -> Places:
    del at
    return luck.integers(1, len(market.revision.actions), rows.size)


def best(market: Market, rows: Places, at: datetime, luck: np.random.Generator) -> Places:
    del luck
    return np.asarray(expected_rewards(market, rows, at).argmax(axis=1))


def best_message(market: Market, rows: Places, at: datetime, luck: np.random.Generator) -> Places:
    del luck
    return np.asarray(expected_rewards(market, rows, at)[:, 1:].argmax(axis=1) + 1)


def expected_rewards(market: Market, rows: Places, at: datetime) -> Numbers:
    """Return the expected reward of every action, (n, A)."""
    return np.asarray(market.probabilities(rows, at) @ market.values - market.costs)


@cache
def play(world: type[Market], choose: Choose, customers: int, seed: int) -> Played:
    """Let a whole market live through 13 weeks without guardrails."""
    market = world(made_for(world), customers=customers, seed=seed)
    value = np.zeros((customers, market.rounds))
    count = np.zeros((customers, len(market.outcomes)))
    luck = np.random.default_rng(seed)
    came: list[tuple[Places, Places]] = []
    for i in range(market.rounds):
        for at, rows in market.meetings(i):
            actions = choose(market, rows, at, luck)
            rates = market.probabilities_of(rows, actions, at)  # (n, O)
            value[rows, i] = rates @ market.values - market.costs[actions]
            happened = market.live(rows, np.full(rows.size, i), actions, at, None)
            np.add.at(count, (rows[happened.row], happened.outcome), 1.0)
            came.append((happened.outcome, happened.at - microseconds(at)))
    which, days = (np.concatenate(parts) for parts in zip(*came, strict=True))
    waited = {word: days[which == place] / 86_400e6 for place, word in enumerate(market.outcomes)}
    return Played(market, value, count, waited)


def assert_shares(played: Played, targets: dict[str, float]) -> None:
    """Compare weekly shares with targets: 4 standard errors, and half a digit of the target."""
    market = played.market
    assert set(targets) == set(market.outcomes)
    shares = played.counts / market.rounds  # (N, O)
    errors = shares.std(axis=0) / np.sqrt(market.customers)
    for word, got, error in zip(market.outcomes, shares.mean(axis=0), errors, strict=True):
        # The targets were measured on 60,000 customers, so they have a quarter of this error.
        assert got == pytest.approx(targets[word], abs=4.2 * error + 0.005 * targets[word]), word


@pytest.mark.parametrize("world", CAMPAIGNS)
def test_untouched_customers_do_what_the_world_says_as_often_as_it_says(
    world: type[Market],
) -> None:
    assert_shares(play(world, none, 3_000, 11), UNTOUCHED[world])


@pytest.mark.parametrize("world", CAMPAIGNS)
def test_messages_by_an_even_lot_do_what_the_world_says(world: type[Market]) -> None:
    assert_shares(play(world, anything, 3_000, 11), WRITTEN_TO[world])


@pytest.mark.parametrize("world", CAMPAIGNS)
def test_knowing_pays_and_sending_to_everybody_does_not(world: type[Market]) -> None:
    value = {choose: play(world, choose, 1_000, 7).value for choose in (none, best, best_message)}
    value[anything] = play(world, anything, 3_000, 11).value
    worth = {choose: each.sum(axis=1).mean() for choose, each in value.items()}
    assert worth[best] > worth[best_message] > worth[anything]
    assert worth[best] > worth[none] > worth[anything]
    # At day 90 even the best messages, sent to everybody every week, earn less than silence.
    late = slice(-3, None)
    assert value[best_message][:, late].mean() < value[none][:, late].mean()


@pytest.mark.parametrize("world", CAMPAIGNS)
def test_outcomes_come_as_late_as_their_mixture_says(world: type[Market]) -> None:
    played = play(world, anything, 3_000, 11)
    market = played.market
    for word, delay, window in zip(market.outcomes, market.delays, market.windows, strict=True):
        days, whole = played.waited[word], delay.share_within(window)
        assert days.max() <= window / timedelta(days=1)
        for part in (0.1, 0.3, 0.6):
            share = delay.share_within(part * window) / whole
            got = (days < part * (window / timedelta(days=1))).mean()
            error = np.sqrt(share * (1.0 - share) / days.size)
            assert got == pytest.approx(share, abs=4.0 * error + 1e-9), (word, part)


@pytest.mark.parametrize("world", CAMPAIGNS)
def test_a_campaign_is_chosen_for_the_agent_that_it_was_made_for(world: type[Market]) -> None:
    assert WORLDS[world.name] is world
    assert world.suits(made_for(world))
    if world is not Telecom:  # for whose agent there is `retention` as well
        assert default_world(made_for(world)) == world.name


def test_the_health_insurer_has_both_agents_and_the_fraud_alert_has_no_market() -> None:
    apology = example_revision("health_insurer", "billing_apology")
    assert default_world(apology) == "health_insurer"
    assert default_world(example_revision("bank", "fraud_alert")) == "generic"


@pytest.mark.parametrize("world", CAMPAIGNS)
def test_every_field_is_made_by_the_world_and_consent_goes_with_traits(
    world: type[Market],
) -> None:
    market = world(made_for(world), customers=4_000, seed=3)
    workspace = market.revision.workspace
    assert set(workspace.customer) - set(world.spec.fields) == DRAWN_BY_TYPE[world]
    columns = market.columns(np.arange(market.customers), market.start)
    greatest = 0.0
    for name in {c.consent for c in workspace.channels.values()} - {None}:
        given = columns[str(name)].data.astype(np.float64)
        assert 0.3 < given.mean() < 0.95
        related = [abs(np.corrcoef(given, trait)[0, 1]) for trait in market.people.traits.values()]
        greatest = max(greatest, *related)
    assert greatest > 0.2  # 12 standard errors of no relation
    shares = np.bincount(market.people.kind, minlength=4) / market.customers
    assert (shares > 0.04).all()
    assert (shares < 0.6).all()


@pytest.mark.parametrize("world", CAMPAIGNS)
def test_no_field_shows_the_hidden_trait(world: type[Market]) -> None:
    market = world(made_for(world), customers=4_000, seed=3)
    hidden = market.people.traits["hidden"]
    fields = market.revision.workspace.customer
    for name, column in market.columns(np.arange(market.customers), market.start).items():
        if fields[name].learnable and column.kind in ("bool", "int", "double"):
            data: NDArray[Any] = column.data[column.known].astype(np.float64)
            assert abs(np.corrcoef(data, hidden[column.known])[0, 1]) < 0.15, name


def moves(market: Market, offer: str, outcome: str, day: int) -> bool:
    """Say whether an offer's first action changes an outcome for anybody on a day."""
    at = market.start + timedelta(days=day, hours=12)
    action = next(n for n, a in enumerate(market.revision.actions) if a.offer == offer)
    found = market.probabilities(np.arange(2_000), at)[:, :, market.outcomes.index(outcome)]
    return bool((found[:, 0] != found[:, action]).any())


@pytest.mark.parametrize(
    ("world", "offer", "outcome", "without", "during"),
    [
        (Bank, "fixed_term", "opened_account", 78, 70),
        (Retailer, "free_shipping", "ordered", 10, 20),
        (Streaming, "family_plan", "upgraded", 14, 28),
        (HealthInsurer, "information_pack", "enrolled", 7, 21),
    ],
)
def test_offers_come_and_go(
    world: type[Market], offer: str, outcome: str, without: int, during: int
) -> None:
    market = world(made_for(world), customers=2_000, seed=1)
    assert not moves(market, offer, outcome, without)
    assert moves(market, offer, outcome, during)


def test_a_member_who_cancels_may_come_back_and_a_trial_lapses() -> None:
    market = play(Streaming, none, 3_000, 11).market
    end = market.end + timedelta(days=60)
    state = market.columns(np.arange(market.customers), end)["state"]
    begun = market.people.fields["state"].drawn(0)
    words = [str(word) for word in state.words]
    lapsed = market.standing.done[:, market.outcomes.index("trial_lapsed")]
    again = market.standing.done[:, market.outcomes.index("subscribed")]
    assert (begun[lapsed] == words.index("trial")).all()
    assert (state.data[lapsed & ~again] == words.index("cancelled")).all()
    assert (again & (begun == words.index("cancelled"))).any()
    assert not market.memoryless


def test_a_settled_bill_is_no_error_any_more() -> None:
    market = play(HealthInsurer, none, 3_000, 11).market
    error = market.columns(np.arange(market.customers), market.end + timedelta(days=60))
    settled = market.standing.done[:, market.outcomes.index("settled")]
    assert settled.sum() > 50
    assert not error["billing_error"].data[settled].any()


def test_who_closes_the_account_has_gone() -> None:
    market = play(Bank, anything, 3_000, 11).market
    closed = market.standing.done[:, market.outcomes.index("closed_account")]
    assert closed.sum() > 50
    assert (market.standing.gone == closed).all()
    at = market.end + timedelta(days=60)
    assert not market.probabilities(np.flatnonzero(closed), at).any()


def test_free_postage_is_sold_out_until_the_next_week() -> None:
    market = Retailer(made_for(Retailer), customers=3_000, seed=5)
    action = next(n for n, a in enumerate(market.revision.actions) if a.offer == "free_shipping")
    worked: dict[int, bool] = {}
    for i in range(2, 4):
        for at, rows in market.meetings(i):
            worked[market.day(at)] = moves(market, "free_shipping", "ordered", market.day(at))
            actions = np.full(rows.size, action)
            market.live(rows, np.full(rows.size, i), actions, at, None)
    assert worked[14]
    assert not worked[20]
    assert worked[21]


@pytest.mark.parametrize(
    ("world", "outcome", "peak", "ratio"),
    [
        (Telecom, "upgraded", (7, 20), 1.2),
        (Bank, "opened_account", (1, 8), 1.2),
        (Retailer, "ordered", (12, 14), 1.8),
        (Streaming, "watched_recommended", (12, 27), 1.3),
        (HealthInsurer, "switched", (11, 30), 2.5),
    ],
)
def test_the_year_has_its_seasons(
    world: type[Market], outcome: str, peak: tuple[int, int], ratio: float
) -> None:
    def rate(month: int, day: int) -> float:
        at = datetime(2026, month, day, tzinfo=UTC)
        start = at - timedelta(days=at.weekday())  # shocks come later
        market = world(made_for(world), customers=2_000, seed=1, start=start)
        actions = np.zeros(market.customers, dtype=np.int64)
        rates = market.probabilities_of(np.arange(market.customers), actions, market.start)
        return float(rates[:, market.outcomes.index(outcome)].mean())

    assert rate(*peak) > ratio * rate(9, 21)
