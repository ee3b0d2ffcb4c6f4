from __future__ import annotations

import numpy as np
import pytest

from policies.logistic import Posterior, sigmoid


def posterior(outcomes: int = 2, levels: int = 4, columns: int = 3) -> Posterior:
    rng = np.random.default_rng(0)
    shape = (outcomes, levels, columns)
    return Posterior(rng.normal(size=shape), rng.uniform(0.1, 1.0, shape))


def test_predict_is_the_sum_over_levels() -> None:
    beliefs, z = posterior(), np.array([1.0, 0.5, -2.0])
    mean, variance = beliefs.predict(np.array([[0, 1], [0, 3]]), z)
    assert mean.shape == variance.shape == (2, 2)
    expected = (beliefs.mean[1, 0] + beliefs.mean[1, 3]) @ z
    assert mean[1, 1] == pytest.approx(expected)
    assert variance[1, 1] == pytest.approx(beliefs.variance[1, 3] @ z**2)  # the common one is out


def test_learn_follows_the_formula() -> None:
    beliefs, z = posterior(), np.array([1.0, 0.5, -2.0])
    m, v = beliefs.mean[:, [0, 2]].copy(), beliefs.variance[:, [0, 2]].copy()
    beliefs.learn(slice(None), np.array([0, 2]), z, 1.0)
    for outcome in range(2):
        p = 1 / (1 + np.exp(-(m[outcome] @ z).sum()))
        h = p * (1 - p)
        s2 = (v[outcome] @ z**2).sum()
        expected = m[outcome] + v[outcome] * z * (1 - p) / (1 + h * s2)
        assert beliefs.mean[outcome, [0, 2]] == pytest.approx(expected)
        expected_variance = 1 / (1 / v[outcome] + h * z**2)
        assert beliefs.variance[outcome, [0, 2]] == pytest.approx(expected_variance)


def test_learn_touches_only_its_outcome_and_levels() -> None:
    beliefs, before = posterior(), posterior()
    beliefs.learn(slice(1, 2), np.array([0, 2]), np.ones(3), 0.0)
    changed = np.argwhere((beliefs.mean != before.mean).any(axis=2))
    assert changed.tolist() == [[1, 0], [1, 2]]


def test_a_weight_without_variance_stays() -> None:
    beliefs = posterior()
    beliefs.variance[:, 2, 1:] = 0.0
    fixed = beliefs.mean[:, 2, 1:].copy()
    for _ in range(10):
        beliefs.learn(slice(None), np.array([0, 2]), np.array([1.0, 3.0, -3.0]), 1.0)
    assert np.array_equal(beliefs.mean[:, 2, 1:], fixed)
    assert not beliefs.variance[:, 2, 1:].any()


def test_finds_a_rate() -> None:
    beliefs, rng = Posterior(np.zeros((1, 1, 1)), np.ones((1, 1, 1))), np.random.default_rng(3)
    for happened in rng.random(4_000) < 0.1:
        beliefs.learn(slice(None), np.array([0]), np.ones(1), float(happened))
    rate = float(sigmoid(beliefs.mean[0, 0, 0]))
    assert abs(rate - 0.1) < 4 * np.sqrt(0.1 * 0.9 / 4_000)
    # Near 1 / (n p (1 - p)); a little less, since the first steps were taken near p = 1/2.
    assert beliefs.variance[0, 0, 0] == pytest.approx(1 / (4_000 * 0.09), rel=0.15)


def test_extreme_evidence_stays_finite() -> None:
    beliefs = Posterior(np.full((1, 1, 2), 500.0), np.ones((1, 1, 2)))
    for _ in range(100):
        beliefs.learn(slice(None), np.array([0]), np.array([1.0, 5.0]), 0.0)
    assert np.isfinite(beliefs.mean).all()
    assert (beliefs.variance > 0).all()
