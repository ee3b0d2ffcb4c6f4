from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from policies.floor import mix_floor
from policies.propensities.sampled import sampled_best
from policies.propensities.thompson import gaussian_best

MEAN, SD = np.array([0.0, 0.3, -0.2]), np.array([1.0, 0.5, 2.0])


def independent(rng: np.random.Generator, draws: int) -> NDArray[np.float64]:
    return np.asarray(MEAN + SD * rng.normal(size=(draws, 3)))


def test_many_draws_agree_with_quadrature() -> None:
    shares = sampled_best(independent, 200_000, np.random.default_rng(0))
    p = gaussian_best(MEAN, SD)
    assert np.all(np.abs(shares - p) <= 4 * np.sqrt(p * (1 - p) / 200_000) + 2e-4)


def test_ties_share_alike_and_a_seed_repeats() -> None:
    same = sampled_best(lambda _, draws: np.zeros((draws, 4)), 10, np.random.default_rng(0))
    assert same.tolist() == [0.25] * 4
    runs = [sampled_best(independent, 50, np.random.default_rng(1)).tolist() for _ in range(2)]
    assert runs[0] == runs[1]


def test_weights_average_to_one_however_few_the_draws() -> None:
    rng, allowed, weights = np.random.default_rng(2), np.ones(3, dtype=np.bool_), []
    for _ in range(20_000):
        p = mix_floor(sampled_best(independent, 8, rng), allowed, 0.2)
        action = rng.choice(3, p=p)
        weights.append(1 / 3 / p[action])
    error = np.std(weights) / np.sqrt(len(weights))
    assert np.mean(weights) == pytest.approx(1.0, abs=4 * error)
