"""What actions are believed to be worth, against drawing from the belief many times."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from policies.models.belief import Beliefs, worth
from policies.models.logistic import sigmoid

DRAWS = 200_000


def drawn(
    beliefs: Beliefs, values: NDArray[np.float64], costs: NDArray[np.float64]
) -> NDArray[np.float64]:
    scores = np.random.default_rng(5).standard_normal((DRAWS, *beliefs.mean.shape))
    eta = beliefs.mean + beliefs.sd * scores  # (N, O, E)
    return np.asarray((values[:, None] * sigmoid(eta)).sum(axis=1) - costs)  # (N, E)


@pytest.mark.parametrize("values", [[80.0], [80.0, 30.0, -20.0, -15.0], [1.0, -1.0], [5.0, 0.0]])
def test_mean_and_interval_are_those_of_draws(values: list[float]) -> None:
    rng = np.random.default_rng(len(values))
    shape = (len(values), 12)
    beliefs = Beliefs(rng.normal(-3.0, 1.5, shape), 10.0 ** rng.uniform(-2.0, 0.5, shape))
    costs = rng.uniform(0.0, 2.0, 12)
    found = worth(beliefs, np.array(values), costs)
    samples = drawn(beliefs, np.array(values), costs)  # (N, E)
    standard_error = samples.std(axis=0) / np.sqrt(DRAWS)  # (E,)
    assert np.all(np.abs(samples.mean(axis=0) - found.mean) < 4.5 * standard_error)
    share_error = np.sqrt(0.05 * 0.95 / DRAWS)
    # the grid of the interval adds up to 0.003 where a belief spans several powers of ten
    for end, share in ((found.low, 0.05), (found.high, 0.95)):
        assert np.all(np.abs((samples <= end).mean(axis=0) - share) < 4.5 * share_error + 0.003)


@pytest.mark.parametrize("value", [40.0, -40.0])
def test_of_one_outcome_the_ends_are_exact(value: float) -> None:
    mean, sd = -3.0, 0.7
    found = worth(Beliefs(np.array([[mean]]), np.array([[sd]])), np.array([value]), np.zeros(1))
    ends = sorted(value * sigmoid(mean + sd * norm.ppf(np.array([0.05, 0.95]))))
    assert [found.low[0], found.high[0]] == pytest.approx(ends, abs=40.0 * 1e-4)


def test_without_doubt_all_three_are_the_same_number() -> None:
    eta = np.array([[-2.0, 0.0], [1.0, -1.0]])
    values, costs = np.array([10.0, -3.0]), np.array([0.5, 0.0])
    found = worth(Beliefs(eta, np.zeros((2, 2))), values, costs)
    plain = (values[:, None] * sigmoid(eta)).sum(axis=0) - costs
    for number in (found.mean, found.low, found.high):
        assert number == pytest.approx(plain, rel=1e-12)


def test_what_is_worth_nothing_has_no_interval() -> None:
    found = worth(Beliefs(np.zeros((1, 1)), np.ones((1, 1))), np.zeros(1), np.array([2.0]))
    assert (found.mean[0], found.low[0], found.high[0]) == (-2.0, -2.0, -2.0)


def test_doubt_about_a_rare_outcome_raises_its_mean() -> None:
    sure, unsure = (
        worth(Beliefs(np.full((1, 1), -4.0), np.full((1, 1), sd)), np.ones(1), np.zeros(1))
        for sd in (0.0, 1.5)
    )
    assert unsure.mean[0] > 1.5 * sure.mean[0]
    assert unsure.low[0] < sure.mean[0] < unsure.high[0]


def test_without_a_link_the_reward_is_normal() -> None:
    rng = np.random.default_rng(8)
    beliefs = Beliefs(rng.normal(size=(2, 3)), rng.uniform(0.1, 1.0, (2, 3)), "identity")
    values, costs = np.array([4.0, -2.0]), np.array([0.0, 0.5, 1.0])
    found = worth(beliefs.of(np.array([2, 0])), values, costs[[2, 0]])
    normal = norm(values @ beliefs.mean - costs, np.sqrt(values**2 @ beliefs.sd**2))
    for number, wanted in (
        (found.mean, normal.mean()), (found.low, normal.ppf(0.05)), (found.high, normal.ppf(0.95))
    ):  # fmt: skip
        assert number == pytest.approx(wanted[[2, 0]], rel=1e-9)
