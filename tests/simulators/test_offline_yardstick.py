from __future__ import annotations

import math

import numpy as np
import pytest

from agents.catalog import example_folder
from agents.groups import Group
from agents.load import load_workspace
from agents.memory import Memory
from agents.revision import Revision
from policies.registry import create_policy
from policies.uniform import Uniform
from simulators.market.market import Market
from simulators.offline.expected import expected_table
from simulators.offline.oracle import Oracle
from simulators.offline.play import play
from simulators.offline.yardstick import (
    Paired,
    Yardstick,
    again,
    true_values,
    value_of,
    yardstick,
)
from simulators.rollout import rollout
from simulators.truth import value_of_none, value_of_uniform
from simulators.worlds import create_world
from simulators.worlds.telecom import Telecom


@pytest.fixture(scope="module")
def market(revision: Revision) -> Telecom:
    return Telecom(revision, customers=300, rounds=4, seed=4)


@pytest.fixture(scope="module")
def found(market: Telecom) -> Yardstick:
    return yardstick(market)


def test_the_oracle_earns_most_and_the_learner_more_than_chance(
    market: Telecom, found: Yardstick
) -> None:
    learned = value_of(market, create_policy(market.revision))
    even = value_of(market, Uniform(), learn=False)
    assert found.oracle.sum() >= found.myopic.sum() > learned.sum() > even.sum() > found.none.sum()
    assert found.headroom(found.oracle) == 1.0
    assert found.headroom(found.none) == 0.0
    assert 0.0 < found.headroom(learned) < 1.0
    regret, gain = found.regret(learned), found.incremental(learned)
    assert regret.mean > 4.0 * regret.standard_error > 0.0
    assert gain.mean > 4.0 * gain.standard_error > 0.0
    assert regret.mean + gain.mean == pytest.approx((found.oracle - found.none).mean())


def test_without_looking_ahead_there_is_no_price(market: Telecom) -> None:
    found = yardstick(market, look_ahead=False)
    assert found.price == 0.0
    assert found.oracle is found.myopic


def test_the_price_is_the_best_of_those_that_were_tried(market: Telecom, found: Yardstick) -> None:
    bare = again(market, market.revision)
    for price in (0.0, found.price * 2.0 + 1.0):
        policy = value_of(bare, Oracle(bare, price), learn=False)
        assert policy.sum() <= found.oracle.sum()


def test_the_oracle_takes_the_best_allowed_in_either_way(revision: Revision) -> None:
    market = Telecom(revision, customers=40, rounds=3)
    played = play(market, Oracle(market, 0.5), group=Group.TREATMENT, learn=False)
    run = rollout(market, Oracle(market, 0.5), group=Group.TREATMENT, learn=False)
    assert np.array_equal(played.decided.action, run.actions)
    assert played.decided.propensity.max() > 0.9
    plain = play(market, Oracle(market), group=Group.TREATMENT, learn=False).decided
    likeliest = plain.propensity > 0.5  # the rest is the floor's
    assert plain.taken[likeliest] == pytest.approx(plain.best[likeliest])


@pytest.mark.parametrize("price", [-1.0, math.nan, math.inf])
def test_a_price_that_is_none_is_refused(market: Telecom, price: float) -> None:
    with pytest.raises(ValueError, match=r"^price: expected a finite number of 0 or more, got "):
        Oracle(market, price)


def test_an_oracle_needs_a_world(revision: Revision) -> None:
    with pytest.raises(ValueError, match=r"^oracle: expected a world to see"):
        Oracle.create(revision)
    with pytest.raises(ValueError, match=r"^oracle: expected a world to see"):
        Oracle.from_bytes(b"", revision)


def test_expected_rewards_of_many_are_those_of_one(market: Telecom) -> None:
    market.reset()
    at, rows = market.meetings(0)[5]
    table = expected_table(market, rows[:5], at)
    for customer, found in zip(rows[:5].tolist(), table, strict=True):
        assert found == pytest.approx(market.expected_rewards(customer, at), abs=1e-12)
        assert market.context(customer, at, Memory()).customer == f"c{customer}"


def test_doing_nothing_is_exact_where_customers_leave() -> None:
    with example_folder("bank") as folder:
        revision = load_workspace(folder).revisions["savings"]
    world = create_world("bank", revision, customers=3_000, rounds=6)
    assert isinstance(world, Market)
    assert world.memoryless
    assert world.leaves
    exact = value_of_none(world)
    lived = true_values(play(world, Uniform(), group=Group.CONTROL, learn=False))
    gaps = lived - exact.per_customer
    assert exact.standard_error == 0.0
    assert gaps.std() > 0.0  # some have left
    assert abs(gaps.mean()) < 4.0 * gaps.std() / math.sqrt(len(gaps))
    assert value_of_none(world, [9, 3]).per_customer == pytest.approx(exact.per_customer[[9, 3]])


def test_doing_nothing_is_lived_through_where_the_past_counts(
    everything: type[Market], revision: Revision
) -> None:
    market = everything(revision, customers=40, rounds=3, seed=2)
    assert not market.memoryless
    found = value_of_none(market)
    lived = true_values(play(market, Uniform(), group=Group.CONTROL, learn=False))
    assert math.isnan(found.standard_error)
    assert found.per_customer == pytest.approx(lived)


def test_doing_nothing_in_the_telecom_world_is_what_silence_brings(revision: Revision) -> None:
    # What happens once is rare, so the gaps are very skewed: with few customers no sum is normal.
    market = Telecom(revision, customers=6_000, rounds=3)
    exact = value_of_none(market)
    lived = true_values(play(market, Uniform(), group=Group.CONTROL, learn=False))
    gaps = lived - exact.per_customer
    assert exact.standard_error == 0.0
    assert abs(gaps.mean()) < 4.0 * gaps.std() / math.sqrt(len(gaps))


def test_uniform_values_are_those_of_the_random_group(market: Telecom) -> None:
    some = value_of_uniform(market, [3, 8], repeats=2)
    whole = value_of_uniform(market, repeats=2)
    assert some.per_customer == pytest.approx(whole.per_customer[[3, 8]])
    assert 0.0 < whole.standard_error < 0.5


def test_a_difference_is_paired() -> None:
    found = Paired.of(np.array([1.0, 5.0, 9.0]), np.array([0.0, 5.0, 7.0]))
    assert found.mean == 1.0
    assert found.standard_error == pytest.approx(1.0 / math.sqrt(3.0))
    assert math.isnan(Paired.of(np.ones(1), np.ones(1)).standard_error)
