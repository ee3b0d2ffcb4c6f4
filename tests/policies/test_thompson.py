from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from policies.propensities.thompson import Utilities


def by_sampling(beliefs: Utilities, draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Shares of Thompson draws in which each action wins."""
    count = np.zeros(beliefs.costs.size)
    for _ in range(draws // 10_000):
        eta = beliefs.mean + beliefs.sd * rng.normal(size=(10_000, *beliefs.mean.shape))
        utility = (beliefs.values[:, None] / (1 + np.exp(-eta))).sum(axis=1) - beliefs.costs
        count += np.bincount(utility.argmax(axis=1), minlength=beliefs.costs.size)
    return count / draws


def some_beliefs(values: list[float], arms: int, sd: tuple[float, float], seed: int) -> Utilities:
    rng = np.random.default_rng(seed)
    shape = (len(values), arms)
    return Utilities(
        rng.normal(-3.9, 0.4, shape), rng.uniform(*sd, shape), np.array(values),
        rng.choice([0.0, 0.06, 1.5], arms),
    )  # fmt: skip


@pytest.mark.parametrize("value", [80.0, -80.0])
def test_one_outcome_is_exact(value: float) -> None:
    beliefs, draws = some_beliefs([value], 10, (0.2, 0.8), seed=1), 200_000
    shares = by_sampling(beliefs, draws, np.random.default_rng(2))
    p = beliefs.best(512)
    error = np.sqrt(np.maximum(p * (1 - p), 1e-4) / draws)
    assert np.all(np.abs(shares - p) <= 4 * error + 2e-4)


@pytest.mark.parametrize(
    ("values", "sd"),
    [
        ([80.0, 30.0, -20.0, -15.0], (0.2, 0.8)),
        ([80.0, 30.0, -20.0, -15.0], (1.3, 1.5)),  # an untaught model
        ([80.0, 30.0, -20.0, -15.0], (0.05, 0.2)),
        ([10.0, 5.0, -90.0, -15.0], (0.5, 1.0)),  # the main outcome is harm
    ],
)
def test_several_outcomes_are_close(values: list[float], sd: tuple[float, float]) -> None:
    beliefs = some_beliefs(values, 12, sd, seed=3)
    shares = by_sampling(beliefs, 200_000, np.random.default_rng(4))
    assert 0.5 * np.abs(shares - beliefs.best(128)).sum() < 0.012


def test_equal_outcomes_are_the_worst_case() -> None:
    beliefs = some_beliefs([20.0, 20.0, -20.0, -20.0], 8, (0.3, 0.8), seed=5)
    shares = by_sampling(beliefs, 200_000, np.random.default_rng(6))
    assert 0.5 * np.abs(shares - beliefs.best(128)).sum() < 0.03


def test_without_spread_the_best_is_certain() -> None:
    beliefs = Utilities(
        np.array([[-3.0, -2.0, -2.5]]), np.zeros((1, 3)), np.array([50.0]), np.zeros(3)
    )
    assert beliefs.best(64).tolist() == pytest.approx([0.0, 1.0, 0.0], abs=1e-12)


def test_costs_decide_where_nothing_is_worth_anything() -> None:
    beliefs = Utilities(
        np.zeros((1, 3)), np.ones((1, 3)), np.array([0.0]), np.array([0.2, 0.1, 0.3])
    )
    assert beliefs.best(64).tolist() == pytest.approx([0.0, 1.0, 0.0], abs=1e-12)


def test_one_arm_is_certain() -> None:
    assert some_beliefs([5.0], 1, (0.2, 0.8), seed=0).best(64).tolist() == [1.0]


def test_huge_values_and_spreads_stay_finite() -> None:
    beliefs = some_beliefs([1e9, -1e9], 6, (50.0, 300.0), seed=8)
    assert beliefs.best(64).sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("values", "costs"),
    [
        ([1e9, -1e9], [0.0, 1.0, 1e9]),
        ([1e-300, 1e9], [0.0, 1.0, 1e9]),
        ([0.0, 1e-300], [0.0, 0.0, 1e9]),
        ([-20.0, -15.0], [0.0, 0.1, 1.0]),
        ([0.0, 0.0], [0.0, 0.0, 0.0]),
    ],
)
@pytest.mark.parametrize("sd", [0.0, 0.5, 100.0])
def test_extreme_beliefs_give_a_distribution(
    values: list[float], costs: list[float], sd: float
) -> None:
    mean = np.array([[-3.0, -2.9, -2.8], [0.0, 900.0, -900.0]])
    utilities = Utilities(mean, np.full((2, 3), sd), np.array(values), np.array(costs))
    found = utilities.best(128)
    assert np.isfinite(found).all()
    assert found.min() >= 0.0
    assert found.sum() == pytest.approx(1.0)


def test_five_hundred_equal_arms_share_alike() -> None:
    mean, sd = np.full((2, 500), -3.0), np.full((2, 500), 0.5)
    found = Utilities(mean, sd, np.array([80.0, -20.0]), np.zeros(500)).best(128)
    assert found == pytest.approx(np.full(500, 1 / 500), rel=1e-9)
