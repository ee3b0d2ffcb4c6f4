from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from policies.propensities.quadrature import pooled_grid, stieltjes

Array = NDArray[np.float64]
SCORES = np.linspace(-5.0, 5.0, 33)


def normal_cdf(mean: Array, sd: Array, grid: Array) -> Array:
    return np.asarray(ndtr((grid - mean[:, None]) / sd[:, None]))


def by_quadrature(mean: Array, sd: Array, size: int) -> Array:
    grid = pooled_grid(mean[:, None] + sd[:, None] * SCORES, size)
    return stieltjes(normal_cdf(mean, sd, grid))


def reference(mean: Array, sd: Array) -> Array:
    """Integrate with normal densities over a fine grid that resolves the narrowest arm."""
    wide = np.linspace((mean - 8 * sd).max(), (mean + 8 * sd).max(), 40_001)
    narrow = (mean[:, None] + sd[:, None] * np.linspace(-8, 8, 1_001)).ravel()
    grid = np.unique(np.concatenate([wide, narrow[narrow > wide[0]]]))
    cdf = normal_cdf(mean, sd, grid)
    logs = np.log(np.maximum(cdf, 1e-300))
    others = np.exp(logs.sum(axis=0) - logs)
    scores = (grid - mean[:, None]) / sd[:, None]
    density = np.exp(-0.5 * scores**2) / (sd[:, None] * np.sqrt(2 * np.pi))
    mass = np.trapezoid(density * others, grid, axis=1)
    return np.asarray(mass / mass.sum())


def total_variation(p: Array, q: Array) -> float:
    return float(0.5 * np.abs(p - q).sum())


@pytest.mark.parametrize("arms", [2, 10, 50])
@pytest.mark.parametrize("spread", [1.0, 100.0])
def test_close_to_a_fine_reference(arms: int, spread: float) -> None:
    rng = np.random.default_rng(arms)
    worst = 0.0
    for _ in range(5):
        mean = rng.normal(size=arms)
        sd = 0.5 * spread ** -rng.random(arms)
        worst = max(worst, total_variation(by_quadrature(mean, sd, 256), reference(mean, sd)))
    assert worst < 1e-3


@pytest.mark.parametrize("size", [128, 256])
def test_few_wide_arms_above_a_crowd_of_narrow_ones(size: int) -> None:
    rng = np.random.default_rng(5)
    mean = np.concatenate([rng.normal(0.0, 0.01, 48), [0.3, 0.0]])
    sd = np.concatenate([np.full(48, 0.01), [1.0, 0.8]])
    assert total_variation(by_quadrature(mean, sd, size), reference(mean, sd)) < 2e-3


def test_agrees_with_monte_carlo() -> None:
    rng = np.random.default_rng(7)
    mean, sd, draws = rng.normal(size=12), rng.uniform(0.05, 1.0, 12), 200_000
    winners = (mean + sd * rng.normal(size=(draws, 12))).argmax(axis=1)
    share = np.bincount(winners, minlength=12) / draws
    p = by_quadrature(mean, sd, 512)
    error = np.sqrt(p * (1 - p) / draws)
    assert np.all(np.abs(share - p) <= 4 * error + 1e-4)


@pytest.mark.parametrize("arms", [1, 2, 7])
def test_identical_arms_share_alike(arms: int) -> None:
    p = by_quadrature(np.zeros(arms), np.ones(arms), 64)
    assert p.tolist() == pytest.approx([1 / arms] * arms, abs=1e-15)
    assert len(set(p.tolist())) == 1


def test_arms_without_spread_are_steps() -> None:
    values = np.array([1.0, 1.001, 0.5, 1.001])
    grid = pooled_grid(np.repeat(values[:, None], 5, axis=1), 64)
    p = stieltjes((grid >= values[:, None]).astype(np.float64))
    assert p.tolist() == pytest.approx([0.0, 0.5, 0.0, 0.5], abs=1e-12)


def test_an_arm_far_below_costs_no_resolution() -> None:
    # Both near arms have the same lower end, so the next point below it is the far arm's.
    mean, sd = np.array([0.0, 0.5, -1e6]), np.array([1.0, 1.1, 0.1])
    near = total_variation(by_quadrature(mean[:2], sd[:2], 64), reference(mean[:2], sd[:2]))
    assert total_variation(by_quadrature(mean, sd, 64), reference(mean, sd)) < max(near, 5e-4)


def test_a_step_among_wide_arms_keeps_its_mass() -> None:
    mean, sd = np.array([0.0, 0.0]), np.array([1.0, 1e-9])
    assert by_quadrature(mean, sd, 64).tolist() == pytest.approx([0.5, 0.5], abs=1e-2)


def test_a_grid_that_misses_everything_loses_nothing() -> None:
    cdf = normal_cdf(np.array([0.0, 1.0]), np.ones(2), np.array([50.0, 60.0]))
    assert stieltjes(cdf).sum() == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize("size", [64, 128, 512])
def test_grid_is_ascending_and_as_large_as_asked(size: int) -> None:
    rng = np.random.default_rng(3)
    grid = pooled_grid(np.sort(rng.normal(size=(9, 33)), axis=1), size)
    assert grid.shape == (size + 1,)
    assert np.all(np.diff(grid) >= 0)
