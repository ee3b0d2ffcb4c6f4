"""Diagnostics say what is wrong with a log, and nothing of one that is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from experiments.diagnostics import audit, diagnose
from experiments.evaluate import evaluate
from experiments.intervals import Bounds, Sample
from experiments.intervals.normal import Normal
from experiments.logs import LoggedDecisions
from experiments.targets import logged_target, none_target, uniform_target

MakeLog = Callable[..., LoggedDecisions]


def test_the_logging_policy_has_full_information(make_log: MakeLog) -> None:
    log = make_log(500, 1)
    found = diagnose(log, logged_target(log))
    assert (found.n, found.max_weight) == (500, 1.0)
    assert found.ess == pytest.approx(500)
    assert found.unsupported == 0.0
    assert found.supported


def test_figures_of_a_log_that_can_be_counted_by_hand(make_log: MakeLog) -> None:
    log = make_log(20, 2)
    even = replace(
        log,
        propensity=np.full(20, 0.5),
        action=np.repeat([0, 1], 10),
        distribution=np.tile([0.5, 0.5, 0.0, 0.0, 0.0], (20, 1)),
        allowed=np.tile([True, True, False, False, False], (20, 1)),
        reward=np.repeat([0.0, 1.0], [8, 12]),
        outcome_value=np.repeat([0.0, 1.0], [8, 12]),
    )
    found = diagnose(even, none_target(even))
    assert (found.ess, found.max_weight) == (10.0, 2.0)
    assert found.effective_conversions == 2.0
    assert found.top_share == 1.0


def test_mass_without_support_is_measured(make_log: MakeLog) -> None:
    log = make_log(200, 3)
    barred = np.zeros_like(log.distribution)
    barred[:, 1] = 1.0
    found = diagnose(log, barred)
    assert found.unsupported == pytest.approx(np.mean(~log.allowed[:, 1]))
    assert not found.supported


def test_a_true_log_passes_the_audit(make_log: MakeLog) -> None:
    verdicts = [audit(make_log(1_000, seed)) for seed in range(100)]
    assert sum(not verdict.passed for verdict in verdicts) <= 2  # 0.2 expected
    assert np.mean([v.p_mean < 0.1 for v in verdicts]) < 0.1 + 4 * 0.03
    assert np.mean([v.p_draws < 0.1 for v in verdicts]) < 0.1 + 4 * 0.03


def test_p_values_of_draws_are_spread_evenly(make_log: MakeLog) -> None:
    """A chi-square with too many degrees of freedom would never find anything."""
    p = np.sort([audit(make_log(1_000, 500 + seed)).p_draws for seed in range(200)])
    gap = np.max(np.abs(p - (np.arange(200) + 0.5) / 200))
    assert gap < 1.63 / np.sqrt(200)  # Kolmogorov-Smirnov at 1%


def converged(make_log: MakeLog, seed: int, off: float) -> LoggedDecisions:
    """A log of 1,000 decisions that nearly always take one action, another one in each."""
    rng = np.random.default_rng(seed)
    log, rows = make_log(1_000, seed), np.arange(1_000)
    best, other = rng.integers(0, 5, 1_000), rng.integers(1, 5, 1_000)
    distribution = np.full((1_000, 5), off / 4.0)
    distribution[rows, best] = 1.0 - off
    action = np.where(rng.random(1_000) < off, (best + other) % 5, best)
    free = np.ones((1_000, 5), dtype=np.bool_)
    log = replace(log, action=action, allowed=free)
    return with_propensities(log, distribution)


@pytest.mark.parametrize("off", [1e-5, 1e-4, 1e-3, 5e-3])
def test_a_rare_draw_from_a_log_that_hardly_explores_is_no_alarm(
    make_log: MakeLog, off: float
) -> None:
    """Without a floor a draw may be one in a million: it must not look like a false log."""
    verdicts = [audit(converged(make_log, seed, off)).passed for seed in range(150)]
    assert verdicts.count(False) <= 4  # 0.5 expected, and 26 at 1e-4 by chi-square alone


def test_a_floor_that_a_converged_policy_did_not_log_is_found(make_log: MakeLog) -> None:
    log = converged(make_log, 7, 0.04)
    logged = np.where(log.distribution > 0.5, 1.0 - 4e-9, 1e-9)
    found = audit(with_propensities(log, logged))
    assert found.rare > 20
    assert found.expected_rare < 1e-4
    assert found.p_rare < 1e-9
    assert not found.passed


def with_propensities(log: LoggedDecisions, distribution: NDArray[np.float64]) -> LoggedDecisions:
    drawn = distribution[np.arange(len(log)), log.action]
    return replace(log, distribution=distribution, propensity=drawn)


def test_a_floor_that_was_mixed_but_not_logged_is_found(make_log: MakeLog) -> None:
    log = make_log(5_000, 4, floor=0.2)
    q = (log.distribution - 0.2 * uniform_target(log)) / 0.8
    found = audit(with_propensities(log, np.where(log.allowed, q, 0.0)))
    assert not found.passed
    assert found.mean_weight > 1.0


def test_a_stale_distribution_is_found(make_log: MakeLog) -> None:
    log = make_log(5_000, 5)
    shrunk = 0.8 * log.distribution + 0.2 * uniform_target(log)
    assert audit(with_propensities(log, shrunk)).p_mean < 1e-3
    tilted = log.distribution * [1.0, 1.3, 1.0, 1.0, 1.0]
    found = audit(with_propensities(log, tilted / tilted.sum(axis=1, keepdims=True)))
    assert found.p_draws < 1e-3
    assert not found.passed


def test_the_uniform_policys_own_log_has_nothing_to_audit_by_weight(make_log: MakeLog) -> None:
    log = make_log(500, 6, floor=1.0)
    found = audit(log)
    assert found.mean_weight == pytest.approx(1.0)
    assert (found.z, found.p_mean) == (0.0, 1.0)
    certain = with_propensities(log, np.eye(5)[log.action])
    found = audit(replace(certain, allowed=certain.distribution > 0))
    assert (found.df, found.p_draws, found.passed) == (0, 1.0, True)
    assert (found.rare, found.p_rare) == (0, 1.0)


def test_the_greatest_possible_weight_is_that_of_all_actions(make_log: MakeLog) -> None:
    """By brute force over rows and actions; intervals that rest on it are not given less."""
    log = make_log(40, 5, floor=0.01)
    target = uniform_target(log)
    possible = max(
        t / p
        for row, logged in zip(target, log.distribution, strict=True)
        for t, p in zip(row, logged, strict=True)
        if p > 0.0
    )
    found = diagnose(log, target)
    assert found.possible_weight == pytest.approx(possible)
    assert found.possible_weight > 1.5 * found.max_weight
    drawn_only = diagnose(replace(log, whole=False), target)
    assert drawn_only.possible_weight == found.max_weight
    given: list[float] = []

    class Spy(Normal):
        def bounds(self, sample: Sample, level: float) -> Bounds:
            given.append(sample.weight_limit)
            return super().bounds(sample, level)

    evaluate(log, target, estimators=("ips",), interval=Spy())
    assert given == [pytest.approx(possible)]
