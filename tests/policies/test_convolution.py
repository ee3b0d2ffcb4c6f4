from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from policies.propensities.convolution import Sums

VALUES = np.array([80.0, 30.0, -20.0, -15.0])


def problem(seed: int, outcomes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """6 to 12 arms, a fifth of them untaught, with rates of 0.4 to 4 in a hundred."""
    rng = np.random.default_rng(seed)
    arms = int(rng.integers(6, 13))
    trials = rng.integers(0, 3000, (arms, 1)) * (rng.random((arms, 1)) < 0.8)
    happened = rng.binomial(trials, 0.02 * rng.uniform(0.2, 2.0, (arms, outcomes)))
    a, b = 0.4 + happened, 19.6 + trials - happened
    return a, b, VALUES[:outcomes], rng.uniform(0.0, 0.06, arms)


@pytest.mark.parametrize(("value", "cost"), [(10.0, 2.0), (-10.0, 0.0)])
def test_one_outcome_is_exact_at_the_edges_of_cells(value: float, cost: float) -> None:
    a, b = np.array([[0.4], [3.0], [200.0]]), np.array([[19.6], [2.0], [9000.0]])
    sums = Sums.of(a, b, np.array([value]), np.full(3, cost))
    for arm in range(3):
        edges = sums.low[arm] + sums.step[arm] * np.arange(1, sums.cdf.shape[1] - 1)
        chance = beta.cdf((edges + cost) / value, a[arm], b[arm])
        exact = chance if value > 0.0 else 1.0 - chance
        np.testing.assert_allclose(sums.cdf[arm, 1:-1], exact, atol=1e-12)


@pytest.mark.parametrize("outcomes", [1, 2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_probabilities_agree_with_draws(outcomes: int, seed: int) -> None:
    """100,000 draws of all arms; total variation within 3 standard errors of its own noise.

    The noise of a share p has the mean absolute value sqrt(2 p (1 - p) / (pi n)).
    """
    a, b, values, costs = problem(seed, outcomes)
    found = Sums.of(a, b, values, costs).best(np.arange(len(a)), 128)
    rng, count = np.random.default_rng(seed + 100), 100_000
    wins = np.zeros(len(a))
    for _ in range(20):
        drawn = (rng.beta(a, b, size=(count // 20, *a.shape)) * values).sum(axis=2) - costs
        wins += np.bincount(drawn.argmax(axis=1), minlength=len(a))
    shares = wins / count
    noise = 0.5 * np.sqrt(2.0 * shares * (1.0 - shares) / np.pi / count)
    variation = 0.5 * np.abs(found - shares).sum()
    assert variation < noise.sum() + 3.0 * np.sqrt((noise**2).sum()) + 2e-3


def test_some_arms_are_the_same_as_those_alone() -> None:
    a, b, values, costs = problem(1, 2)
    some = np.array([0, 2, 5])
    whole = Sums.of(a, b, values, costs).best(some, 128)
    alone = Sums.of(a[some], b[some], values, costs[some]).best(np.arange(3), 128)
    np.testing.assert_array_equal(whole, alone)
    assert Sums.of(a, b, values, costs).best(some[:1], 128).tolist() == [1.0]


def test_equal_arms_share_and_worthless_outcomes_are_none() -> None:
    a, b = np.full((4, 2), 0.4), np.full((4, 2), 19.6)
    found = Sums.of(a, b, np.array([0.0, 0.0]), np.zeros(4)).best(np.arange(4), 128)
    np.testing.assert_allclose(found, 0.25, atol=1e-12)
    dear = Sums.of(a, b, np.array([0.0, 0.0]), np.array([1.0, 0.0, 1.0, 1.0]))
    np.testing.assert_allclose(dear.best(np.arange(4), 128), [0, 1, 0, 0], atol=1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_the_unit_of_value_does_not_matter(scale: float) -> None:
    a, b, values, costs = problem(2, 2)
    one = Sums.of(a, b, values, costs).best(np.arange(len(a)), 128)
    other = Sums.of(a, b, scale * values, scale * costs).best(np.arange(len(a)), 128)
    np.testing.assert_allclose(other, one, atol=1e-9)
