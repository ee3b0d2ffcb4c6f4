from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from policies.models.logistic import Design, Evidence, Posterior, sigmoid

Z = np.array([1.0, 0.5, -2.0])


def posterior(outcomes: int = 2, columns: int = 3, levels: int = 4) -> Posterior:
    """Nothing is shared by the outcomes."""
    rng = np.random.default_rng(0)
    shape = (outcomes, columns, levels)
    mean, variance = np.zeros((outcomes + 1, *shape[1:])), np.zeros((outcomes + 1, *shape[1:]))
    variance[:-1], mean[:-1] = rng.uniform(0.1, 1.0, shape), rng.normal(size=shape)
    return Posterior(mean, variance, np.ones_like(mean), np.zeros(outcomes))


def design(*levels: list[int], by: float = 1.0) -> Design:
    places = np.array(levels)
    coefficients = np.where(np.arange(places.shape[1]) > 0, by, 1.0) + np.zeros(places.shape)
    return Design(places, coefficients, np.where(places > 0, coefficients, 0.0), wide=4)


def evidence(
    z: np.ndarray, happened: float, *, outcome: int = 0, weight: float = 1.0, times: int = 1
) -> Evidence:
    return Evidence(
        np.full(times, outcome), np.zeros(times, dtype=np.intp), np.tile(z, (times, 1)),
        np.full(times, happened), np.full(times, weight),
    )  # fmt: skip


def single(variance: float = 1.0, columns: int = 1) -> Posterior:
    prior = np.full((2, columns, 1), variance)
    prior[-1] = 0.0
    return Posterior.untaught(prior, np.zeros(1))


@pytest.mark.parametrize("happened", [0.0, 1.0])
def test_what_is_taken_back_at_once_leaves_nothing(happened: float) -> None:
    prior = np.full((2, 3, 4), 0.3)
    prior[-1] = 0.1
    beliefs, places = Posterior.untaught(prior, np.array([-3.0])), design([0, 1, 2], by=0.5)
    beliefs.learn(places, evidence(Z, 1.0))
    mean, variance = beliefs.mean.copy(), beliefs.variance.copy()
    beliefs.learn(places, evidence(Z, happened, weight=0.7))
    assert not np.allclose(beliefs.mean, mean, atol=1e-6)
    beliefs.learn(places, evidence(Z, happened, weight=-0.7))
    assert np.allclose(beliefs.mean, mean, atol=1e-8)
    assert np.allclose(beliefs.variance, variance, atol=1e-8)


def test_predict_is_the_sum_over_levels() -> None:
    beliefs = posterior()
    mean, variance = beliefs.predict(design([0, 1], [0, 3], by=0.5), Z)
    assert mean.shape == variance.shape == (2, 2)
    expected = (beliefs.mean[1, :, 0] + 0.5 * beliefs.mean[1, :, 3]) @ Z
    assert mean[1, 1] == pytest.approx(expected)
    common_is_out = 0.25 * beliefs.variance[1, :, 3] @ Z**2
    assert variance[1, 1] == pytest.approx(common_is_out)


def test_a_table_has_the_same_bits_as_its_rows() -> None:
    beliefs, actions = posterior(), design([0, 1], [0, 3])
    z = np.random.default_rng(1).normal(size=(20, 3))
    means, variances = beliefs.predict_table(actions, z)
    for row, (mean, variance) in zip(z, zip(means, variances, strict=True), strict=True):
        one = beliefs.predict(actions, row)
        assert np.array_equal(one[0], mean)
        assert np.array_equal(one[1], variance)


@pytest.mark.parametrize("weight", [1.0, 0.3, 5.0])
@pytest.mark.parametrize("happened", [0.0, 1.0])
def test_learning_reaches_the_most_probable_point(happened: float, weight: float) -> None:
    """The gradient of log posterior is 0 where the step ends."""
    beliefs, before = posterior(), posterior()
    beliefs.learn(design([0, 2], by=0.7), evidence(Z, happened, outcome=1, weight=weight))
    k = np.array([1.0, 0.7])
    m, v = before.mean[1][:, [0, 2]], before.variance[1][:, [0, 2]]
    now = beliefs.mean[1][:, [0, 2]]
    p = 1 / (1 + np.exp(-(now * k * Z[:, None]).sum()))
    gradient = weight * (happened - p) * k * Z[:, None] - (now - m) / v
    assert np.abs(gradient).max() < 1e-8
    expected = 1 / (1 / v + weight * p * (1 - p) * (k * Z[:, None]) ** 2)
    assert beliefs.variance[1][:, [0, 2]] == pytest.approx(expected)


def test_learn_touches_only_its_outcome_and_levels() -> None:
    beliefs, before = posterior(), posterior()
    beliefs.learn(design([0, 2]), evidence(np.ones(3), 0.0, outcome=1))
    changed = np.argwhere((beliefs.mean != before.mean).any(axis=1))
    assert changed.tolist() == [[1, 0], [1, 2]]


def test_a_weight_without_variance_stays() -> None:
    beliefs = posterior()
    beliefs.variance[:, 1:, 2] = 0.0
    fixed = beliefs.mean[:, 1:, 2].copy()
    beliefs.learn(design([0, 2]), evidence(np.array([1.0, 3.0, -3.0]), 1.0, times=10))
    assert np.array_equal(beliefs.mean[:, 1:, 2], fixed)
    assert not beliefs.variance[:, 1:, 2].any()


def test_finds_a_rate() -> None:
    beliefs, rng = single(), np.random.default_rng(3)
    stream = evidence(np.ones(1), 0.0, times=4_000)
    beliefs.learn(design([0]), replace(stream, happened=(rng.random(4_000) < 0.1).astype(float)))
    rate = float(sigmoid(beliefs.mean[0, 0, 0]))
    assert abs(rate - 0.1) < 4 * np.sqrt(0.1 * 0.9 / 4_000)
    # Near 1 / (n p (1 - p)); a little less, since the first steps were taken near p = 1/2.
    assert beliefs.variance[0, 0, 0] == pytest.approx(1 / (4_000 * 0.09), rel=0.15)


@pytest.mark.parametrize("happened", [0.0, 1.0])
def test_a_wide_prior_does_not_overshoot(happened: float) -> None:
    """A single Newton step would land hundreds away; the most probable point is near."""
    beliefs = single(variance=2_500.0, columns=2)
    beliefs.mean[0, 0, 0] = 30.0 - 60.0 * happened
    beliefs.learn(design([0]), evidence(np.array([1.0, 5.0]), happened))
    eta, _ = beliefs.predict(design([0]), np.array([1.0, 5.0]))
    assert abs(float(eta[0, 0])) < 15.0
    assert (beliefs.variance[0] > 0.0).all()


def test_what_is_taken_back_leaves_nearly_nothing() -> None:
    beliefs = single(variance=0.5)
    beliefs.learn(design([0]), evidence(np.ones(1), 0.0, times=500))
    before = beliefs.mean[0, 0, 0], beliefs.variance[0, 0, 0]
    beliefs.learn(design([0]), evidence(np.ones(1), 1.0))
    beliefs.learn(design([0]), evidence(np.ones(1), 1.0, weight=-1.0))
    assert beliefs.mean[0, 0, 0] == pytest.approx(before[0], abs=0.02)
    assert beliefs.variance[0, 0, 0] == pytest.approx(before[1], rel=0.02)


def test_no_variance_grows_above_its_prior() -> None:
    beliefs = single(variance=0.5)
    beliefs.learn(design([0]), evidence(np.ones(1), 1.0, weight=-3.0, times=50))
    assert np.isfinite(beliefs.mean).all()
    assert beliefs.variance[0, 0, 0] == 0.5


def test_fading_weighs_the_evidence_against_the_prior() -> None:
    beliefs = Posterior.untaught(np.full((2, 2, 2), 0.5), np.array([-3.0]))
    beliefs.learn(design([0, 1]), evidence(np.array([1.0, 2.0]), 1.0, times=20))
    mean, variance = beliefs.mean.copy(), beliefs.variance.copy()
    beliefs.fade(0.25)
    start = np.zeros((2, 2, 2))
    start[0, 0, 0] = -3.0
    precision = 0.25 / variance + 0.75 / 0.5
    assert beliefs.variance == pytest.approx(1 / precision)
    assert beliefs.mean == pytest.approx((0.25 / variance * mean + 0.75 / 0.5 * start) / precision)
    for _ in range(200):
        beliefs.fade(0.25)
    assert beliefs.mean == pytest.approx(start, abs=1e-12)
    assert beliefs.variance == pytest.approx(0.5)


def test_what_is_shared_teaches_the_other_outcome_too() -> None:
    prior = np.full((3, 1, 2), 0.4)
    beliefs = Posterior.untaught(prior, np.zeros(2))
    beliefs.learn(design([0, 1]), evidence(np.ones(1), 1.0, outcome=0, times=30))
    mean, variance = beliefs.predict(design([0, 1]), np.ones(1))
    assert mean[0, 0] > mean[1, 0] > 0.5
    assert mean[1, 0] == pytest.approx(beliefs.mean[-1].sum())  # by the shared part alone
    assert variance[0, 0] < variance[1, 0] < 0.8
