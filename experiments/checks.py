"""What every estimator owes: plain checks, run over the whole registry and over anyone's own.

Each takes an estimator, returns nothing, and raises AssertionError with what was expected and what
was got.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from experiments.estimators import Estimator
from experiments.logs import LoggedDecisions

Check = Callable[[Estimator], None]

_SEED = 20260302
_N, _A = 400, 5
_TOLERANCE = 1e-9


def sample_log(rng: np.random.Generator) -> LoggedDecisions:
    """Make a log of 400 decisions among 5 actions, some barred, rewards of both signs."""
    rows = np.arange(_N)
    allowed = rng.random((_N, _A)) < 0.8  # (N, A)
    allowed[:, 0] = True
    raw = np.where(allowed, rng.uniform(0.2, 1.0, (_N, _A)), 0.0)  # (N, A)
    distribution = raw / raw.sum(axis=1, keepdims=True)
    below = distribution.cumsum(axis=1) < rng.random((_N, 1))  # (N, A)
    action = np.minimum(below.sum(axis=1), allowed.cumsum(axis=1).argmax(axis=1))  # (N,)
    reward = rng.choice([-0.5, 0.0, 20.0], _N, p=[0.5, 0.4, 0.1])  # (N,)
    names = np.array([f"{row:03d}" for row in rows], dtype=np.object_)
    contexts = np.empty(_N, dtype=np.object_)
    contexts[:] = [{"features": {"x": value}, "contacts": []} for value in rng.random(_N)]
    blank = np.full(_N, "", dtype=np.object_)
    nothing = np.empty(_N, dtype=np.object_)
    nothing[:] = [()] * _N
    return LoggedDecisions(
        decision_id=names, customer=names, revision=blank, policy=blank, snapshot=blank,
        group=np.full(_N, "treatment", dtype=np.object_), contexts=contexts,
        at=np.datetime64("2026-03-02", "us") + rows * np.timedelta64(60, "s"),
        action=action, propensity=distribution[rows, action], distribution=distribution,
        allowed=allowed, reward=reward, outcome_value=np.maximum(reward, 0.0), outcomes=nothing,
        actions=("none", *(f"offer/v{k}@email" for k in range(1, _A))),
    )  # fmt: skip


def _sample() -> tuple[LoggedDecisions, NDArray[np.float64], NDArray[np.float64]]:
    """Return a log, a target of it and a reward model; (N, A) both."""
    rng = np.random.default_rng(_SEED)
    log = sample_log(rng)
    raw = np.where(log.allowed, rng.random((_N, _A)), 0.0)  # (N, A)
    target = raw / raw.sum(axis=1, keepdims=True)
    return log, target, rng.normal(2.0, 1.0, (_N, _A))


def check_shape_and_finite(estimator: Estimator) -> None:
    """There is one finite term a decision."""
    log, target, q_hat = _sample()
    terms = estimator.terms(log, target, q_hat)
    assert terms.shape == (_N,), f"{estimator.name}: expected shape {(_N,)}, got {terms.shape}"
    bad = int(np.count_nonzero(~np.isfinite(terms)))
    assert bad == 0, f"{estimator.name}: expected finite terms, got {bad} that are not"


def check_logging_policy(estimator: Estimator) -> None:
    """The logging policy itself is worth the mean reward, if the model knows each drawn reward."""
    log, _, _ = _sample()
    known = np.repeat(log.reward[:, None], _A, axis=1)  # (N, A)
    value = float(estimator.terms(log, log.distribution, known).mean())
    expected = float(log.reward.mean())
    assert abs(value - expected) <= _TOLERANCE, (
        f"{estimator.name}: expected the mean reward {expected:.12g} for the logging policy,"
        f" got {value:.12g}"
    )


def check_constant_reward(estimator: Estimator) -> None:
    """A reward that is always c is worth c, up to how far the mean weight is from 1."""
    log, target, _ = _sample()
    constant = replace(log, reward=np.full(_N, 3.0))
    terms = estimator.terms(constant, target, np.full((_N, _A), 3.0))
    value, slack = float(terms.mean()), 4.0 * float(terms.std()) / np.sqrt(_N) + _TOLERANCE
    assert abs(value - 3.0) <= slack, (
        f"{estimator.name}: expected 3 within {slack:.3g} for a constant reward of 3,"
        f" got {value:.12g}"
    )


def check_scale(estimator: Estimator) -> None:
    """In cents everything is worth a hundred times as much as in euros."""
    log, target, q_hat = _sample()
    euros = estimator.terms(log, target, q_hat)
    cents = estimator.terms(replace(log, reward=100.0 * log.reward), target, 100.0 * q_hat)
    gap = float(np.max(np.abs(cents - 100.0 * euros)))
    assert gap <= 1e-6, (
        f"{estimator.name}: expected 100 times the terms for 100 times the rewards,"
        f" got a gap of {gap:.3g}"
    )


def check_pure(estimator: Estimator) -> None:
    """The same question has the same answer, and the arrays it was asked with stay."""
    log, target, q_hat = _sample()
    before = [array.copy() for array in (log.reward, log.propensity, target, q_hat)]
    first, second = (estimator.terms(log, target, q_hat) for _ in range(2))
    assert np.array_equal(first, second), f"{estimator.name}: expected the same answer twice"
    after = (log.reward, log.propensity, target, q_hat)
    same = all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert same, f"{estimator.name}: expected the arrays it is given to stay, got others"


def check_ignores_model(estimator: Estimator) -> None:
    """An estimator that says it needs no model answers the same with any."""
    log, target, q_hat = _sample()
    answers = [float(estimator.terms(log, target, q).mean()) for q in (q_hat, np.zeros((_N, _A)))]
    differs = answers[0] != answers[1]
    assert estimator.needs_model == differs, (
        f"{estimator.name}: expected needs_model to be {differs}, got {estimator.needs_model}"
    )


ALL_CHECKS: tuple[Check, ...] = (
    check_shape_and_finite,
    check_logging_policy,
    check_constant_reward,
    check_scale,
    check_pure,
    check_ignores_model,
)
