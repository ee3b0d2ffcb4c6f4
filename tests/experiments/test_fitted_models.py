"""Any model of scikit-learn predicts rewards, and never those that it has seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.tree import DecisionTreeRegressor

from experiments.logs import LoggedDecisions
from experiments.reward_models.designs import Design, time_folds
from experiments.reward_models.fitted import fit_model, random_folds

MakeLog = Callable[..., LoggedDecisions]


def converted(log: LoggedDecisions) -> LoggedDecisions:
    """Whether a decision converted, as its reward: 0 or 1."""
    return replace(log, reward=(log.outcome_value > 0.0).astype(np.float64))


def test_folds_of_time_are_blocks(make_log: MakeLog) -> None:
    log = make_log(103, 1)
    folds = time_folds(log, 5)
    assert folds.tolist() == sorted(folds.tolist())
    assert np.bincount(folds).tolist() == [21, 21, 21, 20, 20]


def test_random_folds_are_those_of_scikit_learn(make_log: MakeLog) -> None:
    log = make_log(100, 1)
    folds = random_folds(log, 3, seed=5)
    assert np.bincount(folds).tolist() == [34, 33, 33]
    assert folds.tolist() == random_folds(log, 3, seed=5).tolist()
    assert folds.tolist() != random_folds(log, 3, seed=6).tolist()
    assert folds.tolist() != sorted(folds.tolist())


@pytest.mark.parametrize(
    "model", [Ridge(alpha=1.0), DecisionTreeRegressor(max_depth=7, random_state=1)]
)
def test_a_regressor_learns_what_there_is(make_log: MakeLog, model: Any) -> None:
    log = make_log(3_000, 2)
    x = np.array([c["features"]["a"] for c in log.contexts])  # (N,)
    truth = np.array([0.0, 3.0, 2.0, -1.0, 1.0]) + x[:, None] * np.array([0.0, 1, 1, -2, -2])
    log = replace(log, reward=truth[np.arange(len(log)), log.action])
    found = fit_model(log, model, time_folds(log), Design.of(log, crossed=True))
    assert np.sqrt(np.mean((found - truth) ** 2)) < 0.3 * truth.std()


def test_a_classifier_predicts_the_probability_of_a_conversion(
    market: Any, make_log: MakeLog
) -> None:
    log = converted(make_log(8_000, 3))
    model = LogisticRegression(max_iter=500)
    found = fit_model(log, model, time_folds(log), Design.of(log, crossed=True))
    truth = market.convert(market.read(log))
    assert np.all((found >= 0.0) & (found <= 1.0))
    gap = np.sqrt(np.mean((found - truth) ** 2))  # both plans share their slopes, hence the rest
    assert gap < 0.75 * truth.std()
    assert not hasattr(model, "coef_")  # the one that was given stays as it was


def test_the_classes_of_a_classifier_are_amounts(make_log: MakeLog) -> None:
    log = converted(make_log(2_000, 4))
    folds, design = time_folds(log), Design.of(log)
    model = LogisticRegression(max_iter=500)
    plain = fit_model(log, model, folds, design)
    dearer = fit_model(replace(log, reward=80.0 * log.reward - 1.0), model, folds, design)
    np.testing.assert_allclose(dearer, 80.0 * plain - 1.0, atol=1e-9)


def test_a_fold_without_a_conversion_is_no_reason_to_fail(make_log: MakeLog) -> None:
    log = make_log(40, 5)
    reward = np.zeros(40)
    reward[3] = 1.0  # the other folds have no other class where this one is left out
    log = replace(log, reward=reward)
    found = fit_model(log, LogisticRegression(), time_folds(log, 2), Design.of(log))
    assert np.all(found[:20] == 0.0)
    assert np.all(found[20:] > 0.0)


def test_a_decision_is_predicted_without_its_own_fold(make_log: MakeLog) -> None:
    log = make_log(500, 6)
    folds, design = time_folds(log), Design.of(log)
    reward = log.reward.copy()
    reward[:100] += 1_000.0
    before = fit_model(log, Ridge(), folds, design)
    after = fit_model(replace(log, reward=reward), Ridge(), folds, design)
    np.testing.assert_array_equal(before[:100], after[:100])
    assert np.all(np.abs(after[100:] - before[100:]).max(axis=1) > 1.0)


def test_weights_count(make_log: MakeLog) -> None:
    """A decision with a weight of 2 is one that is there twice."""
    log = make_log(200, 7)
    folds, design = time_folds(log), Design.of(log)
    twice = np.repeat(np.arange(200), np.where(np.arange(200) % 2 == 0, 2, 1))
    arrays: dict[str, Any] = {
        name: value[twice] for name, value in vars(log).items() if isinstance(value, np.ndarray)
    }
    weighted = fit_model(log, Ridge(), folds, design, weights=1.0 + (np.arange(200) % 2 == 0))
    doubled = replace(design, context=design.context[twice])
    repeated = fit_model(replace(log, **arrays), Ridge(), folds[twice], doubled)
    np.testing.assert_allclose(repeated, weighted[twice], atol=1e-8)


def test_bad_questions_are_refused(make_log: MakeLog) -> None:
    log = make_log(50, 8)
    design = Design.of(log)
    for count in (1, 51):
        with pytest.raises(ValueError, match="expected from 2 folds to one for each of 50"):
            time_folds(log, count)
        with pytest.raises(ValueError, match="expected from 2 folds"):
            random_folds(log, count, seed=1)
    with pytest.raises(ValueError, match="expected at least 2 folds, got 1"):
        fit_model(log, Ridge(), np.zeros(50, dtype=np.intp), design)
    amounts = replace(log, reward=np.arange(50.0))
    with pytest.raises(ValueError, match="regressor for a reward of 50 .* LogisticRegression"):
        fit_model(amounts, LogisticRegression(), time_folds(amounts), design)


def test_features_can_be_kept_from_the_model(make_log: MakeLog) -> None:
    log = make_log(100, 9)
    assert Design.of(log).context.shape == (100, 2)
    assert Design.of(log, exclude=["a"]).context.shape == (100, 1)
    assert Design.of(log).crossed.shape == (5, 0)
    assert Design.of(log, crossed=True).crossed.shape == (5, 3)  # none, plan, credit
