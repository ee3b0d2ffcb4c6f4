"""The adversarial worlds: each is hard in the way that it says it is."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from agents.load import load_workspace
from agents.revision import Revision
from simulators.market.market import Market
from simulators.worlds import WORLDS, create_world, default_world
from simulators.worlds.confounded import Confounded
from simulators.worlds.heavy_drift import HeavyDrift
from simulators.worlds.many_actions import (
    ACTIONS,
    ManyActions,
    catalogue_revision,
    catalogue_text,
    write_catalogue,
)
from simulators.worlds.misspecified import Misspecified
from simulators.worlds.telecom import Telecom
from simulators.worlds.tiny_data import TinyData
from simulators.worlds.variants import load_variant
from simulators.worlds.zero_uplift import ZeroUplift, without_costs

HARD = (ZeroUplift, Misspecified, HeavyDrift, Confounded, TinyData, ManyActions)


def everybody(market: Market) -> np.ndarray:
    return np.arange(market.customers)


def rewards(market: Market, at: datetime) -> np.ndarray:
    """Return the true expected rewards of all customers, (N, A)."""
    return np.asarray(market.probabilities(everybody(market), at) @ market.values - market.costs)


def play(market: Market, rounds: int) -> None:
    """Let everybody meet random actions."""
    rng = np.random.default_rng(5)
    for i in range(rounds):
        for at, rows in market.meetings(i):
            actions = rng.integers(0, len(market.revision.actions), rows.size)
            market.live(rows, np.full(rows.size, i), actions, at, None)


@pytest.mark.parametrize("world", HARD)
def test_a_hard_world_is_registered_and_nobodys_first_choice(
    world: type[Market], revision: Revision
) -> None:
    assert WORLDS[world.name] is world
    assert isinstance(create_world(world.name, revision, customers=3), world)
    assert default_world(revision) not in {each.name for each in HARD}


def test_in_zero_uplift_all_actions_are_the_same_number_in_every_state(revision: Revision) -> None:
    market = ZeroUplift(revision, customers=500, rounds=8, seed=3)
    assert market.memoryless
    for rounds in (0, 8):
        play(market, rounds)
        rates = market.probabilities(everybody(market), market.end)
        assert (rates == rates[:, :1]).all()
        assert rates.max(axis=(0, 1)).min() > 0.0  # all that can happen does
    assert market.standing.done.any()
    free = ZeroUplift(without_costs(revision), customers=500, seed=3)
    worth = rewards(free, free.start)
    assert (worth == worth[:, :1]).all()


def test_in_zero_uplift_the_past_of_messages_is_of_no_matter(revision: Revision) -> None:
    """Sampled, too: whatever is sent, the very same things happen at the very same luck."""
    found = []
    for action in (0, 5):
        market = ZeroUplift(revision, customers=400, rounds=6, seed=9)
        for i in range(market.rounds):
            for at, rows in market.meetings(i):
                actions = np.full(rows.size, action)
                happened = market.live(rows, np.full(rows.size, i), actions, at, None)
                pairs = zip(rows[happened.row], happened.outcome, strict=True)
                found.append((action, sorted(pairs)))
    half = len(found) // 2
    assert [each for _, each in found[:half]] == [each for _, each in found[half:]]
    assert any(each for _, each in found)


def test_no_weighted_sum_of_fields_tells_what_works_in_misspecified(revision: Revision) -> None:
    """The best offer turns with the product of two traits, and comes and goes along the years."""
    market = Misspecified(revision, customers=4_000, seed=2)
    rates = market.probabilities(everybody(market), market.start)[..., 0]  # renewed
    traits, gain = market.people.traits, market.people.gain
    names = [(each.offer, each.variant) for each in revision.actions]
    warm = rates[:, names.index(("loyalty_credit", "thank_you"))]
    lock = rates[:, names.index(("loyalty_credit", "price_lock"))]
    helped = gain > 0.5
    turned = (traits["digital"] * traits["appetite"])[helped]
    apart = np.log(warm / (1 - warm) / (lock / (1 - lock)))[helped]
    for trait in (traits["digital"][helped], traits["appetite"][helped]):
        assert abs(np.corrcoef(trait, apart)[0, 1]) < 0.35
    assert np.corrcoef(turned, apart)[0, 1] > 0.7

    plain = rates[:, names.index(("bill_explained", "plain"))]
    swing = (np.log(plain / (1 - plain)) - np.log(rates[:, 0] / (1 - rates[:, 0])))[helped]
    years = traits["years"][helped]
    edges = [0.0, 0.8, 1.7, 2.5]  # sin(1.2 pi years) is above 0, below, and above again
    means = [swing[(years >= low) & (years < high)].mean() for low, high in pairwise(edges)]
    assert means[0] > means[1] + 0.5
    assert means[2] > means[1] + 0.5


def test_every_action_of_misspecified_has_a_whim_of_its_own(revision: Revision) -> None:
    whims = [each.on for each in Misspecified.spec.effects if each.channel is not None]
    assert len(whims) == len(revision.actions) - 1
    sizes = np.array([[on["renewed"]["one"], on["upgraded"]["one"]] for on in whims])
    assert sizes.std() == pytest.approx(1.4, abs=4 * 1.4 / np.sqrt(2 * sizes.size))


def best_offers(market: Market, day: int) -> np.ndarray:
    """Return each customer's best offer on a day, fatigue and wear left out."""
    worth = rewards(market, market.start + timedelta(days=day, hours=9))
    offers = np.array([action.offer for action in market.revision.actions])
    return np.asarray(offers[worth[:, 1:].argmax(axis=1) + 1])


def test_drift_changes_the_best_action_on_its_day_and_on_no_other(revision: Revision) -> None:
    market = HeavyDrift(revision, customers=1_000, seed=6)
    changed = {
        day: float(np.mean(best_offers(market, day) != best_offers(market, day - 1)))
        for day in (27, 28, 29, 55, 56, 57)
    }
    assert min(changed[28], changed[56]) > 0.15
    assert max(changed[day] for day in (27, 29, 55, 57)) < 0.05


def test_on_day_28_the_credit_does_what_the_pass_did(revision: Revision) -> None:
    market = HeavyDrift(revision, customers=300, seed=6)
    offers = [(each.offer, each.channel) for each in revision.actions]
    credit, roaming = (
        offers.index(("loyalty_credit", "push")),
        offers.index(("roaming_pass", "push")),
    )
    upgraded, complained = (market.outcomes.index(word) for word in ("upgraded", "complained"))
    before, after = (
        market.probabilities(everybody(market), market.start + timedelta(days=day, hours=9))
        for day in (27, 28)
    )
    abroad = market.signals(everybody(market), market.start + timedelta(days=28))[:, -2] > 0.3
    helped = abroad & (market.people.gain > 0.5)
    assert helped.sum() > 10
    assert (before[helped, roaming, complained] < before[helped, credit, complained]).all()
    assert (after[helped, credit, complained] < after[helped, roaming, complained]).all()
    assert before[helped, roaming, upgraded].mean() > before[helped, credit, upgraded].mean()
    assert after[helped, credit, upgraded].mean() > after[helped, roaming, upgraded].mean()


def test_from_day_56_on_effects_fade_by_half_in_60_days(revision: Revision) -> None:
    market = HeavyDrift(revision, customers=10, seed=6)
    strength = [market._climates.on(day).response for day in (55, 56, 116)]
    assert strength == [1.0, 1.0, 0.5]


def test_tiny_data_is_telecom_in_small(revision: Revision) -> None:
    tiny, large = TinyData(revision, seed=8), Telecom(revision, seed=8, customers=200)
    assert (tiny.customers, tiny.rounds) == (200, 3)
    own, other = (rewards(market, market.start) for market in (tiny, large))
    assert np.array_equal(own, other)


def test_the_catalogue_has_500_actions_and_its_workspace_is_in_order(tmp_path: Path) -> None:
    loaded = load_workspace(write_catalogue(tmp_path / "catalogue"))
    assert set(loaded.revisions) == {"catalogue"}
    found = loaded.revisions["catalogue"]
    assert found.id == catalogue_revision().id
    assert len(found.actions) - 1 == ACTIONS == 500
    assert catalogue_text().startswith("agent: catalogue\n")
    assert default_world(found) == "generic"  # many_actions is asked for by its name
    assert ManyActions.suits(found)


def test_of_500_actions_few_are_best_for_many_and_they_differ(revision: Revision) -> None:
    market = ManyActions(catalogue_revision(), customers=600, seed=5)
    assert not ManyActions.suits(revision)
    worth = rewards(market, market.start)
    offers = np.array([action.offer for action in market.revision.actions])
    best = offers[worth.argmax(axis=1)]
    counts = sorted((np.unique(best, return_counts=True)[1] / best.size).tolist(), reverse=True)
    assert len(counts) > 10
    assert counts[0] < 0.4
    helps = (worth[:, 1:] > worth[:, :1]).mean(axis=0)  # (500,) share of customers it helps
    assert np.median(helps) < 0.5


def test_a_variant_replaces_whole_parts_and_refuses_what_it_does_not_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = load_variant("heavy_drift", of="telecom")
    assert spec.outcomes == Telecom.spec.outcomes
    assert spec.effects != Telecom.spec.effects
    documents = {"base": {"world": "base"}, "other": {"effects": 3}}
    monkeypatch.setattr("simulators.worlds.variants._document", documents.__getitem__)
    with pytest.raises(ValueError, match="effects"):
        load_variant("other", of="base")
