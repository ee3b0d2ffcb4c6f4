"""The formula of a market, against the same formula in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest

from agents.actions import Action
from agents.revision import Revision
from agents.tabular.columns import microseconds
from simulators.market.market import Market
from simulators.market.response import is_memoryless
from simulators.market.signals import signal_names

DAY = timedelta(days=1)


def logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def by_hand(
    market: Market, customer: int, action: Action, day: int, *, tired: float, worn: float
) -> list[float]:
    """Work out one customer's rates after one action, from the document."""
    spec = market.spec
    at = market.start + day * DAY
    row = market.signals(np.array([customer]), at)[0].tolist()
    z = dict(zip(signal_names(spec), row, strict=True))
    kind = list(spec.kinds)[market.people.kind[customer]]
    gain = spec.kinds[kind].gain

    def dot(weights: dict[str, float]) -> float:
        return float(sum(weight * z[name] for name, weight in weights.items()))

    reach = logistic(dot(spec.channels[action.channel])) if action.channel in spec.channels else 0.5
    suits = logistic(dot(spec.windows[action.window])) if action.window in spec.windows else 1.0
    climate = market._climates.on(day)
    rates = []
    for place, (word, outcome) in enumerate(spec.outcomes.items()):
        odds = dot(outcome.base) + outcome.kinds.get(kind, 0.0) + climate.odds[place]
        odds += outcome.fatigue * tired
        if not action.is_none:
            strength = gain * (1.0 - spec.fatigue.response * tired) * (1.0 - worn) * reach * suits
            effect = sum(
                dot(e.on.get(word, {}))
                for e in spec.effects
                if e.offer in (None, action.offer)
                and e.variant in (None, action.variant)
                and e.channel in (None, action.channel)
            )
            odds += strength * effect + outcome.misfit * (1.0 - reach)
            odds += outcome.disliked if gain < 0.0 else 0.0
        never = action.is_none and outcome.contact_only
        rates.append(0.0 if never else logistic(odds))
    return rates


@pytest.fixture(scope="module")
def market(make_market: Callable[..., type[Market]], revision: Revision) -> Market:
    return make_market(lives=[], drift=[], shocks=[])(revision, customers=40, seed=2)


def test_rates_are_those_of_the_document(market: Market, revision: Revision) -> None:
    market.reset()
    rates = market.probabilities(np.arange(40), market.start)  # (n, A, O)
    for customer in range(40):
        for place, action in enumerate(revision.actions):
            due = by_hand(market, customer, action, 0, tired=0.0, worn=0.0)
            assert rates[customer, place] == pytest.approx(due, rel=1e-12)


def test_a_message_tires_and_wears_its_offer_alone(market: Market, revision: Revision) -> None:
    market.reset()
    who, at = np.arange(40), market.start
    place = next(i for i, a in enumerate(revision.actions) if a.offer == "bill_explained")
    market._contacted(who, np.full(40, place), np.full(40, microseconds(at)), microseconds(at))
    rates = market.probabilities(who, at + 3 * DAY)
    tired, worn = 1.0 - 0.65 ** (2.0**-0.5), 1.0 - 0.85 ** (2.0**-0.1)
    for customer in range(0, 40, 7):
        for place, action in enumerate(revision.actions):
            own = worn if action.offer == "bill_explained" else 0.0
            due = by_hand(market, customer, action, 3, tired=tired, worn=own)
            assert rates[customer, place] == pytest.approx(due, rel=1e-9)


def test_one_action_and_all_of_them_have_the_same_bits(market: Market) -> None:
    market.reset()
    who, actions = np.arange(40), np.arange(40) % len(market.revision.actions)
    rates = market.probabilities(who, market.start)
    alone = market.probabilities_of(who, actions, market.start)
    assert np.array_equal(alone, rates[who, actions])


def test_a_sold_out_offer_does_nothing_good_and_disappoints(
    market: Market, revision: Revision
) -> None:
    market.reset()
    at = market.start + DAY
    before = market.probabilities(np.arange(40), at)
    market._after.stocks.take(0, "bigger_plan", "upgraded", 5)
    after = market.probabilities(np.arange(40), at)
    odds = np.log(after / (1.0 - after), where=after > 0.0, out=np.zeros_like(after))
    for place, action in enumerate(revision.actions):
        if action.offer != "bigger_plan":
            assert np.array_equal(before[:, place], after[:, place])
            continue
        quiet = odds[:, 0]
        assert odds[:, place, :2] == pytest.approx(quiet[:, :2], abs=1e-9)  # renewed, upgraded
        assert odds[:, place, 4] == pytest.approx(quiet[:, 4] + 0.5, abs=1e-9)  # churned
    filled = market.probabilities(np.arange(40), market.start + 14 * DAY)
    fresh = revision.actions.index(next(a for a in revision.actions if a.offer == "bigger_plan"))
    assert not np.allclose(filled[:, fresh, 1], filled[:, 0, 1])


def test_what_happens_once_and_who_has_left(market: Market) -> None:
    market.reset()
    renewed, churned = market.outcomes.index("renewed"), market.outcomes.index("churned")
    one = np.array([3, 5])
    when = np.full(2, microseconds(market.start))
    market._after.follow(one, np.zeros(2, dtype=np.int64), np.array([renewed, churned]), when)
    rates = market.probabilities(np.array([3, 5, 6]), market.start + DAY)
    assert (rates[0, :, renewed] == 0.0).all()
    assert (rates[0, 1:, churned] > 0.0).all()
    assert (rates[1] == 0.0).all()
    assert (rates[2, 1:] > 0.0).all()
    market.reset()
    assert (market.probabilities(one, market.start)[:, 1:] > 0.0).all()


def test_a_market_remembers_only_if_outcomes_feed_back(
    make_market: Callable[..., type[Market]], revision: Revision, everything: type[Market]
) -> None:
    assert not is_memoryless(everything.spec)  # upgraded changes the plan it depends on
    outcomes = {
        name: each.model_copy(update={"changes": ()} if name in ("upgraded", "complained") else {})
        for name, each in everything.spec.outcomes.items()
    }
    plain = everything.spec.model_copy(update={"outcomes": outcomes})
    assert not is_memoryless(
        plain
    )  # renewed moves `ending`, of which upgraded has a share in `both`
    upgraded = outcomes["upgraded"].model_copy(update={"base": {"one": -2.0}})
    alone = plain.model_copy(update={"outcomes": {**outcomes, "upgraded": upgraded}})
    assert is_memoryless(alone)  # only renewed's own base depends on it, and it happens once
    assert not everything(revision, customers=2).memoryless
