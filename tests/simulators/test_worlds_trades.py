"""Merchant payments, airline, replenishment: stated rates, and that doing right pays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

import numpy as np
import pytest

from agents.revision import Revision
from simulators.examples import example_revision
from simulators.market.market import Market
from simulators.world import Happening
from simulators.worlds import airline, default_world, merchant_payments, replenishment
from simulators.worlds.airline import Airline
from simulators.worlds.merchant_payments import MerchantPayments
from simulators.worlds.replenishment import Replenishment

TRADES: dict[type[Market], Mapping[str, float]] = {
    MerchantPayments: merchant_payments.UNTOUCHED,
    Airline: airline.UNTOUCHED,
    Replenishment: replenishment.UNTOUCHED,
}
Choose = Callable[[np.ndarray, int], np.ndarray]  # expected rewards (n, A), round -> positions (n,)


def made_for(world: type[Market]) -> Revision:
    return example_revision(world.spec.example, world.spec.agent)


def play(market: Market, choose: Choose) -> tuple[np.ndarray, np.ndarray]:
    """Return true value by round, and how often each outcome happened."""
    earned, count = np.zeros(market.rounds), np.zeros(len(market.outcomes))
    for i in range(market.rounds):
        for at, rows in market.meetings(i):
            rates = market.probabilities(rows, at)  # (n, A, O)
            expected = rates @ market.values - market.costs  # (n, A)
            actions = choose(expected, i)
            earned[i] += expected[np.arange(rows.size), actions].sum()
            happened = market.live(rows, np.full(rows.size, i), actions, at, None)
            count += np.bincount(happened.outcome, minlength=count.size)
    return earned / market.customers, count


def none(expected: np.ndarray, round_index: int) -> np.ndarray:
    del round_index
    return np.zeros(len(expected), dtype=np.int64)


def uniform(expected: np.ndarray, round_index: int) -> np.ndarray:
    rng = np.random.default_rng(round_index)
    return rng.integers(0, expected.shape[1], len(expected))


def best(expected: np.ndarray, round_index: int) -> np.ndarray:
    del round_index
    return np.asarray(expected.argmax(axis=1))


@pytest.mark.parametrize("world", TRADES)
def test_untouched_customers_do_what_the_world_says_as_often_as_it_says(
    world: type[Market],
) -> None:
    market = world(made_for(world), customers=4_000, seed=11)
    _, count = play(market, none)
    weeks = market.customers * market.rounds
    for word, got in zip(market.outcomes, count, strict=True):
        target = TRADES[world][word]
        # 4 standard errors, twice as large for weeks of one customer being alike, and what
        # rounding takes from a target.
        margin = 4.0 * 2.0 * np.sqrt(target / weeks) + 0.03 * target
        assert got / weeks == pytest.approx(target, abs=margin), word
    assert set(TRADES[world]) == set(market.outcomes)


@pytest.mark.parametrize("world", TRADES)
def test_knowing_pays_and_sending_to_everybody_does_not(world: type[Market]) -> None:
    earned = {}
    for policy in (none, uniform, best):
        market = world(made_for(world), customers=1_000, seed=7)
        earned[policy], _ = play(market, policy)
    assert earned[best].sum() > earned[none].sum() > earned[uniform].sum()
    # Whoever does so for 90 days has worn customers out: the last weeks are worse than the first.
    lost = earned[none] - earned[uniform]
    assert lost[-4:].mean() > lost[:4].mean()


@pytest.mark.parametrize("world", TRADES)
def test_a_trade_is_chosen_for_the_agent_that_it_was_made_for(world: type[Market]) -> None:
    assert default_world(made_for(world)) == world.name


@pytest.mark.parametrize("world", TRADES)
def test_consent_goes_with_traits_and_every_kind_is_there(world: type[Market]) -> None:
    market = world(made_for(world), customers=4_000, seed=3)
    shares = np.bincount(market.people.kind, minlength=4) / market.customers
    assert (shares > 0.03).all()
    columns = market.columns(np.arange(market.customers), market.start)
    greatest = 0.0
    for channel in market.revision.workspace.channels.values():
        given = columns[str(channel.consent)].data.astype(np.float64)
        assert 0.2 < given.mean() < 0.95
        related = [abs(np.corrcoef(given, trait)[0, 1]) for trait in market.people.traits.values()]
        greatest = max(greatest, *related)
    assert greatest > 0.2  # 12 standard errors of no relation


def test_a_reorder_fills_the_shelf_and_the_shelf_runs_empty() -> None:
    market = Replenishment(made_for(Replenishment), customers=3_000, seed=2)
    assert not market.memoryless
    everybody = np.arange(market.customers)
    before = market.columns(everybody, market.start)["days_of_supply"].data.copy()
    reordered = []
    for at, rows in market.meetings(0):
        happened = market.live(rows, np.zeros_like(rows), np.zeros_like(rows), at, None)
        word = market.outcomes.index("reordered")
        reordered += rows[happened.row[happened.outcome == word]].tolist()
    later = market.start + timedelta(days=21)  # every reorder of the week has arrived
    after = market.columns(everybody, later)["days_of_supply"].data
    assert len(reordered) > 30
    assert (after[reordered] >= 40.0 - 21.0).all()
    assert (after[reordered] <= 40.0).all()
    others = before < 120.0  # more than that does not show
    others[reordered] = False
    assert after[others] == pytest.approx(np.maximum(before - 21.0, 0.0)[others], abs=0.11)


def test_vouchers_do_nothing_once_their_seats_are_gone() -> None:
    market = Airline(made_for(Airline), customers=200, seed=4)
    voucher = next(i for i, a in enumerate(market.revision.actions) if a.offer == "voucher")
    rows = np.arange(market.customers)
    at = market.start + timedelta(days=1, hours=12)
    word = market.outcomes.index("flew_again")
    stocked = market.probabilities(rows, at)
    for customer in range(60):
        market.record(customer, voucher, None, [Happening("flew_again", market.start)])
    sold_out = market.probabilities(rows, at)
    assert stocked[60:, voucher, word].mean() > 1.2 * stocked[60:, 0, word].mean()
    assert sold_out[60:, voucher, word] == pytest.approx(sold_out[60:, 0, word])
    complained = market.outcomes.index("complained")
    assert (sold_out[60:, voucher, complained] > stocked[60:, voucher, complained]).all()


def test_a_second_terminal_is_worth_nothing_before_it_is_launched() -> None:
    market = MerchantPayments(made_for(MerchantPayments), customers=300, seed=4)
    rows, word = np.arange(market.customers), market.outcomes.index("new_terminal")
    action = next(
        i for i, each in enumerate(market.revision.actions) if each.offer == "second_terminal"
    )
    gains = []
    for day in (20, 21):
        rates = market.probabilities(rows, market.start + timedelta(days=day))
        gains.append(np.abs(rates[:, action, word] - rates[:, 0, word]).max())
    assert gains[0] == 0.0
    assert gains[1] > 0.05
