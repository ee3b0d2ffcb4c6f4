from __future__ import annotations

import os

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from policies.propensities.thompson import Utilities, best_table, gaussian_best

Array = NDArray[np.float64]
COUNTS = [2, 3, 5, 10, 25, 120, 500]
OFTEN = [0.2, 0.2, 0.2, 0.15, 0.17, 0.05, 0.03]


def total_variation(p: Array, q: Array) -> float:
    return float(0.5 * np.abs(p - q).sum())


def fine(cdf: Array) -> Array:
    """Sum over a grid so fine that the rule does not matter; cdf is (E, G)."""
    logs = np.log(np.maximum(cdf, 1e-300))
    others = np.exp(logs.sum(axis=0) - logs)
    mass = (np.diff(cdf) * (others[:, 1:] + others[:, :-1])).sum(axis=1)
    return np.asarray(mass / mass.sum())


def reference_grid(low: Array, high: Array, own: Array) -> Array:
    """Even points where the largest can be, and points that follow the arms."""
    start = float(low.max())
    even = np.linspace(start, float(high.max()), 2_001)
    keep = own[own >= start]
    return np.unique(np.concatenate([even, np.sort(keep)[:: max(1, keep.size // 5_000)]]))


def gaussian_reference(mean: Array, sd: Array) -> Array:
    scores = np.linspace(-7, 7, 301)
    own = (mean[:, None] + sd[:, None] * scores).ravel()
    grid = reference_grid(mean - 7 * sd, mean + 7 * sd, own)
    return fine(ndtr((grid - mean[:, None]) / sd[:, None]))


def logistic_reference(beliefs: Utilities) -> Array:
    """For one outcome of a positive or a negative value."""
    mean, sd, value = beliefs.mean[0], beliefs.sd[0], float(beliefs.values[0])
    scores = np.linspace(-7, 7, 301)
    utility = value / (1 + np.exp(-mean[:, None] - sd[:, None] * scores)) - beliefs.costs[:, None]
    grid = reference_grid(utility.min(axis=1), utility.max(axis=1), utility.ravel())
    share = np.clip((grid + beliefs.costs[:, None]) / value, 1e-300, 1 - 2.0**-53)
    score = (np.log(share / (1 - share)) - mean[:, None]) / sd[:, None]
    return fine(ndtr(np.sign(value) * score))


def spreads(rng: np.random.Generator, count: int) -> Array:
    """Sds up to 100 times apart."""
    return np.asarray(0.8 * rng.choice([1.5, 10.0, 100.0]) ** -rng.random(count))


def test_the_worst_of_many_gaussian_contests_is_close() -> None:
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(80):
        count = int(rng.choice(COUNTS, p=OFTEN))
        mean, sd = rng.normal(0.0, rng.choice([0.05, 0.3, 1.0]), count), spreads(rng, count)
        worst = max(worst, total_variation(gaussian_best(mean, sd), gaussian_reference(mean, sd)))
    assert worst < 1e-3


def test_the_worst_of_many_logistic_contests_is_close() -> None:
    rng = np.random.default_rng(1)
    worst = 0.0
    for _ in range(80):
        count = int(rng.choice(COUNTS, p=OFTEN))
        beliefs = Utilities(
            rng.normal(-3.9, rng.choice([0.05, 0.4, 1.0]), (1, count)), spreads(rng, count)[None],
            rng.choice([80.0, -80.0, 1.0], 1), rng.choice([0.0, 0.06, 1.5], count),
        )  # fmt: skip
        p = beliefs.best()
        assert p.min() >= 0.0
        assert p.sum() == pytest.approx(1.0, abs=1e-12)
        worst = max(worst, total_variation(p, logistic_reference(beliefs)))
    assert worst < 1e-3


def some(outcomes: list[float], count: int, seed: int) -> Utilities:
    rng = np.random.default_rng(seed)
    shape = (len(outcomes), count)
    return Utilities(
        rng.normal(-3.9, 0.4, shape), rng.uniform(0.1, 1.0, shape), np.array(outcomes),
        rng.choice([0.0, 0.06, 1.5], count),
    )  # fmt: skip


@pytest.mark.parametrize("outcomes", [[80.0], [80.0, 30.0, -20.0, -15.0], [0.0, -5.0]])
@pytest.mark.parametrize("count", [2, 24, 120])
def test_order_does_not_matter(outcomes: list[float], count: int) -> None:
    beliefs = some(outcomes, count, seed=2)
    order = np.random.default_rng(3).permutation(count)
    moved = Utilities(
        beliefs.mean[:, order], beliefs.sd[:, order], beliefs.values, beliefs.costs[order]
    )
    assert moved.best() == pytest.approx(beliefs.best()[order], abs=1e-12)


@pytest.mark.parametrize("outcomes", [[80.0], [-80.0], [80.0, 30.0, -20.0, -15.0]])
def test_identical_arms_share_alike(outcomes: list[float]) -> None:
    one = some(outcomes, 1, seed=4)
    for count in (2, 7, 500):
        p = Utilities(
            np.repeat(one.mean, count, axis=1), np.repeat(one.sd, count, axis=1), one.values,
            np.repeat(one.costs, count),
        ).best()  # fmt: skip
        assert len(set(p.tolist())) == 1
        assert p.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("sd", [0.0, 1e-12, 1e-6])
def test_next_to_no_spread_is_nearly_certain(sd: float) -> None:
    mean = np.array([0.3, 0.300001, 0.2])
    assert gaussian_best(mean, np.full(3, sd))[1] > (0.7 if sd == 1e-6 else 1 - 1e-9)


def test_an_arm_that_cannot_win_gets_exactly_nothing() -> None:
    p = gaussian_best(np.array([0.0, 0.1, -50.0]), np.array([1.0, 1.0, 1.0]))
    assert p[2] == 0.0
    assert gaussian_best(np.array([3.0]), np.array([1.0])).tolist() == [1.0]


@pytest.mark.parametrize("outcomes", [[80.0], [80.0, 30.0, -20.0, -15.0]])
def test_a_table_has_the_bits_of_one_by_one(outcomes: list[float]) -> None:
    rng = np.random.default_rng(5)
    shape = (40, len(outcomes), 24)
    mean, sd = rng.normal(-3.9, 0.4, shape), rng.uniform(0.1, 1.0, shape)
    values, costs = np.array(outcomes), rng.choice([0.0, 0.06, 1.5], 24)
    allowed = rng.random((40, 24)) < rng.choice([0.1, 0.5, 1.0], (40, 1))
    allowed[:, 0] = True
    table = best_table(mean, sd, values, costs, allowed)
    assert not table[~allowed].any()
    for n, chosen in enumerate(allowed):
        alone = Utilities(mean[n][:, chosen], sd[n][:, chosen], values, costs[chosen]).best()
        assert table[n, chosen].tolist() == alone.tolist()


def test_threads_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    mean, sd = rng.normal(-3.9, 0.4, (600, 1, 6)), rng.uniform(0.1, 1.0, (600, 1, 6))
    values, costs = np.array([80.0]), np.zeros(6)
    allowed = rng.random((600, 6)) < 0.7
    allowed[:, 0] = True
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(os, "cpu_count", lambda threads=threads: threads)
        found.append(best_table(mean, sd, values, costs, allowed).tobytes())
    assert found[0] == found[1]
    parts = [
        best_table(mean[rows], sd[rows], values, costs, allowed[rows])
        for rows in (slice(0, 100), slice(100, 600))
    ]
    assert np.concatenate(parts).tobytes() == found[0]
    assert best_table(mean[:0], sd[:0], values, costs, allowed[:0]).shape == (0, 6)


def test_two_gaussian_arms_are_exact_whatever_their_spreads() -> None:
    rng = np.random.default_rng(8)
    for _ in range(1_000):
        mean, sd = rng.normal(0.0, 0.5, 2), spreads(rng, 2)
        exact = float(ndtr((mean[0] - mean[1]) / np.hypot(*sd)))
        assert gaussian_best(mean, sd)[0] == pytest.approx(exact, abs=5e-4)


def test_a_finer_contest_is_closer() -> None:
    rng = np.random.default_rng(6)
    error = {64: 0.0, 512: 0.0}
    for _ in range(30):
        mean, sd = rng.normal(0.0, 0.3, 10), spreads(rng, 10)
        for size in error:
            error[size] += total_variation(
                gaussian_best(mean, sd, size), gaussian_reference(mean, sd)
            )
    assert error[512] < 0.5 * error[64]
