"""The model of MRDR is fitted for its target, and makes DR steadier where no model can be right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from agents.errors import LogError
from experiments.estimators import find_estimator
from experiments.estimators.mrdr import emphasis
from experiments.logs import LoggedDecisions
from experiments.reward_models import robust
from experiments.reward_models.designs import Design, time_folds
from experiments.reward_models.fitted import fit_model
from experiments.reward_models.ridge import cross_fit
from experiments.reward_models.robust import fit_robust
from experiments.tally import Tally
from experiments.targets import none_target, uniform_target
from experiments.weighing import Weighed

MakeLog = Callable[..., LoggedDecisions]
Floats = NDArray[np.float64]


def spread(log: LoggedDecisions, target: Floats, name: str, **models: Floats) -> float:
    pieces = find_estimator(name).pieces(Weighed(log, target, **models))
    return Tally.of(pieces, np.arange(len(log)), len(log)).stderr


def test_mrdr_looks_where_an_error_costs_most(make_log: MakeLog) -> None:
    log = make_log(200, 10)
    rows = Weighed(log, uniform_target(log))
    expected = rows.drawn(rows.target) * (1.0 - log.propensity) / log.propensity**2
    np.testing.assert_allclose(emphasis(rows), expected)


def test_mrdr_is_steadier_than_dr_if_the_model_cannot_be_right(make_log: MakeLog) -> None:
    """What is hidden from the model matters, and the logging policy goes by it."""
    ratios = []
    for seed in range(5):
        log = make_log(4_000, seed, floor=0.05)
        a = np.array([c["features"]["a"] for c in log.contexts])
        log = replace(log, reward=np.where(log.action == 1, np.exp(a), np.exp(-a)))
        target = np.where(log.allowed, 1.0, 0.0) / log.allowed.sum(axis=1, keepdims=True)
        q_hat = cross_fit(log, exclude=["a"])
        model = fit_robust(log, target, exclude=["a"])
        ratios.append(
            spread(log, target, "mrdr", robust=model) / spread(log, target, "dr", q_hat=q_hat)
        )
    assert np.mean(ratios) < 0.95


def test_a_model_of_very_many_columns_is_refused_before_it_is_fitted(
    make_log: MakeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = make_log(60, 12)
    monkeypatch.setattr(robust, "MOST_COLUMNS", 5)
    with pytest.raises(LogError, match="at most 5 columns, got .* use dr"):
        fit_robust(log, uniform_target(log))


def test_it_is_the_weighted_ridge_of_scikit_learn(make_log: MakeLog) -> None:
    log = make_log(600, 11)
    target = uniform_target(log)
    weights = emphasis(Weighed(log, target))
    expected = fit_model(
        log, Ridge(alpha=10.0), time_folds(log), Design.of(log, crossed=True),
        weights=np.maximum(weights / weights.mean(), 1e-6),
    )  # fmt: skip
    np.testing.assert_allclose(fit_robust(log, target), expected, atol=1e-8)


def test_a_decision_is_predicted_without_its_own_fold(make_log: MakeLog) -> None:
    log = make_log(500, 12)
    reward = log.reward.copy()
    reward[:100] += 1_000.0
    target = uniform_target(log)
    before, after = fit_robust(log, target), fit_robust(replace(log, reward=reward), target)
    np.testing.assert_array_equal(before[:100], after[:100])
    assert np.all(np.abs(after[100:] - before[100:]).max(axis=1) > 1.0)


def test_small_logs_and_bad_settings(make_log: MakeLog) -> None:
    log = make_log(3, 13)
    assert fit_robust(log, none_target(log)).shape == (3, 5)
    with pytest.raises(ValueError, match="penalty above 0, got 0"):
        fit_robust(log, none_target(log), penalty=0.0)
    with pytest.raises(ValueError, match="expected from 2 folds"):
        fit_robust(log, none_target(log), folds=1)
