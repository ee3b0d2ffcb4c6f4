from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
from scipy.special import expit

from agents.revision import Revision
from agents.tabular.columns import Column
from policies.registry import create_policy
from simulators.env import CustomerEnv
from simulators.examples import example_revision
from simulators.market.market import Market
from simulators.offline.play import play
from simulators.rollout import rollout
from simulators.vector import PopulationEnv
from simulators.worlds.retailer import Retailer
from simulators.worlds.streaming import Streaming

MakeMarket = Callable[..., type[Market]]

N = 20_000
VISITS = {"of": {"one": -1.0, "digital": 0.8}, "slots": {"hero": {"one": 0.5}, "gone": {}}}


@pytest.fixture(scope="module")
def shop() -> Market:
    return Retailer(example_revision("retailer", "conversion"), customers=N, rounds=3, seed=5)


def shares(slots: Column) -> dict[str, float]:
    counts = np.bincount(slots.data, minlength=len(slots.words)) / len(slots.data)
    return {str(word): float(share) for word, share in zip(slots.words, counts, strict=True)}


def near(got: float, due: float) -> bool:
    return bool(abs(got - due) < 4.0 * np.sqrt(due * (1.0 - due) / N))


def test_visits_and_slots_follow_their_formula(shop: Market) -> None:
    digital, taste = shop.people.traits["digital"], shop.people.traits["taste"]
    visit = expit(-1.0 + 0.3 * digital + 0.3 * taste)
    hero = expit(0.7 - 0.3 * taste)  # against the cart
    found = shares(shop.slots(np.arange(N), 1))
    assert near(found["hero"], float((visit * hero).mean()))
    assert near(found["cart"], float((visit * (1.0 - hero)).mean()))
    assert near(found[""], float((1.0 - visit).mean()))


def test_rounds_differ_and_customers_are_apart(shop: Market) -> None:
    rows = np.arange(N)
    first, second = shop.slots(rows, 0).data, shop.slots(rows, 1).data
    both, alone = float(((first > 0) & (second > 0)).mean()), float((first > 0).mean())
    assert alone**2 < both < 1.2 * alone**2  # more than by chance, by traits alone
    mixed = shop.slots(np.array([7, 3, 7]), np.array([1, 0, 0]))
    assert mixed.data.tolist() == [second[7], first[3], first[7]]
    assert [shop.placement(row, 1) for row in range(40)] == [
        mixed.words[code] for code in second[:40]
    ]


def test_only_slots_of_the_workspace_are_visited(
    make_market: MakeMarket, revision: Revision
) -> None:
    market = make_market(visits=VISITS)(revision, customers=30, rounds=2)
    assert shares(market.slots(np.arange(30), 0)) == {"": 1.0}
    site = revision.workspace.channels["email"].model_copy(update={"placements": ("hero",)})
    workspace = revision.workspace.model_copy(
        update={"channels": revision.workspace.channels | {"site": site}}
    )
    market = make_market(visits=VISITS)(Revision(workspace, revision.agent), customers=N, rounds=2)
    due = float(expit(-1.0 + 0.8 * market.people.traits["digital"]).mean())
    found = shares(market.slots(np.arange(N), 0))
    assert set(found) == {"", "hero"}
    assert near(found["hero"], due)


def test_a_world_without_visits_has_none(everything: type[Market], revision: Revision) -> None:
    market = everything(revision, customers=9, rounds=2)
    assert {market.placement(row, 1) for row in range(9)} == {""}


@pytest.mark.parametrize("world", [Retailer, Streaming])
def test_a_population_decides_at_visits_as_one_by_one(world: type[Market]) -> None:
    revision = example_revision(*world.made_for)
    market = world(revision, customers=150, rounds=4, seed=2)
    first, second = create_policy(revision), create_policy(revision)
    played = play(market, first)
    run = rollout(market, second, every=timedelta(days=1))
    assert np.array_equal(played.decided.action, run.actions)
    assert played.decided.propensity.tolist() == [d.propensity for d in run.decisions]
    assert first.to_bytes() == second.to_bytes()
    slots = {channel: c.placements for channel, c in revision.workspace.channels.items()}
    drawn = {
        (decision.context.placement, bool(slots[action.channel]))
        for decision in run.decisions
        if not (action := revision.actions[decision.action]).is_none
    }
    visited = set(market.slots(np.arange(1), 0).words) - {""}
    assert drawn == {("", False), *((slot, True) for slot in visited)}


def test_an_environment_bars_by_visits_in_a_population_as_for_one() -> None:
    many = PopulationEnv(6, "retailer", rounds=3)
    one = CustomerEnv("retailer", rounds=3, customers=6)
    many.reset(seed=4)
    reasons = [many.reasons()]
    for _ in range(3):
        many.step(np.zeros(6, dtype=np.int64))
        reasons.append(many.reasons())
    for row in range(6):
        one.reset(seed=4 if row == 0 else None)
        assert tuple(reasons[0][row]) == one.reasons()
        for step in range(3):
            one.step(np.int64(0))
            assert tuple(reasons[step + 1][row]) == one.reasons()
    assert any("has no placement 'hero'" in text for text in np.stack(reasons).ravel())
