from __future__ import annotations

import math

import numpy as np
import pytest

from agents.groups import Group
from agents.revision import Revision
from policies.uniform import Uniform
from simulators.rollout import rollout
from simulators.truth import realised_value, value_of_none, value_of_uniform
from simulators.world import World
from simulators.worlds import create_world


@pytest.fixture(scope="module")
def market(revision: Revision) -> World:
    return create_world("retention", revision, customers=500, rounds=4, seed=7)


def test_value_of_none_is_what_silence_brings(market: World) -> None:
    run = rollout(market, Uniform(), group=Group.CONTROL)
    per_customer = np.bincount(run.customers, weights=run.rewards())  # (N,)
    truth = value_of_none(market)
    error = per_customer.std() / np.sqrt(market.customers)
    assert abs(per_customer.mean() - truth.mean) < 4.0 * error
    assert truth.standard_error == 0.0


def test_value_of_none_counts_what_happens_once_once(revision: Revision) -> None:
    short = create_world("retention", revision, customers=50, rounds=1, seed=7)
    long = create_world("retention", revision, customers=50, rounds=3, seed=7)
    alone = [
        [long.outcome_probabilities(c, long.opportunity(c, i))[0] for i in range(3)]
        for c in range(50)
    ]  # (N, 3, O): nothing has happened, so these are the rates while waiting
    first = np.array(alone)[:, 0] @ short.values
    assert value_of_none(short).per_customer == pytest.approx(first)
    naive = np.array(alone).sum(axis=1) @ long.values
    once = value_of_none(long).per_customer
    rates = np.array(alone)  # (N, 3, O)
    for o in (0, 1):  # renewed, upgraded
        missed = rates[:, :, o].sum(axis=1) - (1.0 - np.prod(1.0 - rates[:, :, o], axis=1))
        naive = naive - missed * long.values[o]
    assert once == pytest.approx(naive)


def test_value_of_uniform_is_what_the_random_group_earns(market: World) -> None:
    run = rollout(market, Uniform(), group=Group.RANDOM)
    per_customer = np.bincount(run.customers, weights=run.rewards())  # (N,)
    truth = value_of_uniform(market)
    error = np.hypot(per_customer.std() / np.sqrt(market.customers), truth.standard_error)
    assert abs(per_customer.mean() - truth.mean) < 4.0 * error
    assert 0.0 < truth.standard_error < 0.3


def test_some_customers_are_worth_the_same_alone(market: World) -> None:
    chosen = [5, 2, 400]
    everybody, some = value_of_none(market), value_of_none(market, chosen)
    assert some.customers.tolist() == chosen
    assert np.array_equal(some.per_customer, everybody.per_customer[chosen])
    alone = value_of_uniform(market, chosen, repeats=1)
    assert alone.per_customer.shape == (3,)
    assert math.isnan(alone.standard_error)


def test_the_mean_is_over_customers(market: World) -> None:
    truth = value_of_none(market, range(10))
    assert truth.mean == pytest.approx(truth.per_customer.sum() / 10)


def test_realised_value_of_actions_and_of_distributions() -> None:
    expected = [np.array([0.0, 2.0, 4.0]), np.array([1.0, -1.0, 3.0])]
    assert realised_value(expected, np.array([2, 1])).tolist() == [4.0, -1.0]
    even = np.full((2, 3), 1 / 3)
    assert realised_value(expected, even).tolist() == pytest.approx([2.0, 1.0])


def test_realised_value_refuses_other_shapes() -> None:
    message = r"^choices: expected shape \(2,\) or \(2, 3\), got \(3,\)$"
    with pytest.raises(ValueError, match=message):
        realised_value(np.zeros((2, 3)), np.array([0, 1, 2]))


def test_fewer_than_one_repeat_is_refused(market: World) -> None:
    with pytest.raises(ValueError, match=r"^repeats: expected at least 1, got 0$"):
        value_of_uniform(market, repeats=0)
