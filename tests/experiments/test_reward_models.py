"""The reward model finds what there is to find, without looking at its own fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from experiments.logs import LoggedDecisions
from experiments.reward_models.features import context_matrix
from experiments.reward_models.ridge import cross_fit

MakeLog = Callable[..., LoggedDecisions]


def with_features(log: LoggedDecisions, features: list[dict[str, object]]) -> LoggedDecisions:
    contexts = np.empty(len(log), dtype=object)
    contexts[:] = [{"features": f, "contacts": []} for f in features]
    return replace(log, contexts=contexts)


def linear(log: LoggedDecisions) -> tuple[LoggedDecisions, NDArray[np.float64]]:
    """Replace the rewards by a linear function of context and offer; return it for all actions."""
    x = np.array([[c["features"]["a"], c["features"]["b"]] for c in log.contexts])  # (N, 2)
    slope = np.array([[0.0, 1.0, 1.0, -2.0, -2.0], [0.5, 0.0, 0.0, 1.0, 1.0]])
    truth = np.array([0.0, 3.0, 2.0, -1.0, 1.0]) + x @ slope  # (N, A)
    return replace(log, reward=truth[np.arange(len(log)), log.action]), truth


def test_a_linear_reward_is_found(make_log: MakeLog) -> None:
    log, truth = linear(make_log(4_000, 1))
    gap = cross_fit(log) - truth
    assert np.sqrt(np.mean(gap**2)) < 0.05 * truth.std()


def test_a_decision_is_predicted_without_its_own_fold(make_log: MakeLog) -> None:
    log = make_log(500, 2)
    reward = log.reward.copy()
    reward[:100] += 1_000.0  # the first block of time
    before, after = cross_fit(log), cross_fit(replace(log, reward=reward))
    np.testing.assert_array_equal(before[:100], after[:100])
    assert np.all(np.abs(after[100:] - before[100:]).max(axis=1) > 1.0)


def test_folds_follow_time_and_not_the_order_of_rows(make_log: MakeLog) -> None:
    log = make_log(500, 2)
    order = np.random.default_rng(0).permutation(500)
    arrays: dict[str, Any] = {
        name: value[order] for name, value in vars(log).items() if isinstance(value, np.ndarray)
    }
    shuffled = replace(log, **arrays)
    np.testing.assert_allclose(cross_fit(shuffled), cross_fit(log)[order], atol=1e-8)


def test_it_is_deterministic(make_log: MakeLog) -> None:
    log = make_log(300, 3)
    np.testing.assert_array_equal(cross_fit(log), cross_fit(log))


def test_small_logs_and_bad_settings(make_log: MakeLog) -> None:
    log = make_log(3, 4)
    assert cross_fit(log).shape == (3, 5)
    for arguments in ({"folds": 1}, {"penalty": 0.0}):
        with pytest.raises(ValueError, match="expected at least 2 folds"):
            cross_fit(log, **arguments)
    with pytest.raises(ValueError, match="2 decisions"):
        cross_fit(log.where(np.array([True, False, False])))


def test_contexts_become_columns(make_log: MakeLog) -> None:
    log = with_features(
        make_log(4, 5),
        [
            {"plan": "a", "bill": 10.0, "app": True, "same": 1},
            {"plan": "b", "bill": 30.0, "app": False, "same": 1},
            {"plan": "a", "same": 1, "app": True},
            {"plan": "b", "bill": 20.0, "app": False, "same": 1},
        ],
    )
    columns = context_matrix(log)  # app, bill, bill is missing, plan a, plan b
    assert columns.shape == (4, 5)
    assert columns[:, 0].tolist() == [1.0, -1.0, 1.0, -1.0]
    np.testing.assert_allclose(columns[:, 1], [-np.sqrt(1.5), np.sqrt(1.5), 0.0, 0.0])
    assert columns[:, 2].tolist() == [0.0, 0.0, 1.0, 0.0]
    assert columns[:, 3:].tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]
    assert context_matrix(log, exclude=["bill", "plan", "app"]).shape == (4, 0)


def test_contacts_are_a_column_and_outliers_are_clipped(make_log: MakeLog) -> None:
    log = with_features(make_log(100, 5), [{"x": 1e9 if i == 0 else 0.0} for i in range(100)])
    assert isinstance(log.contexts, np.ndarray)
    log.contexts[0]["contacts"] = [{}, {}]
    columns = context_matrix(log)
    assert columns.shape == (100, 2)
    assert columns.max() == 5.0


def test_rare_categories_have_no_column(make_log: MakeLog) -> None:
    log = with_features(
        make_log(300, 5), [{"zone": "rare" if i == 0 else "ab"[i % 2]} for i in range(300)]
    )
    assert context_matrix(log).shape == (300, 2)


def test_a_set_has_a_column_for_each_member(make_log: MakeLog) -> None:
    held: list[object] = [["a"], ["a", "b"], [], None] * 25
    log = with_features(make_log(100, 1), [{"likes": value} for value in held])
    columns = context_matrix(log)
    assert columns[:4].T.tolist() == [[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]


def test_an_instant_counts_by_the_logarithm_of_its_days(make_log: MakeLog) -> None:
    log = make_log(4, 1)
    ages = np.array([0.0, 1.0, -10.0, 9_999.0])
    at = log.at - (ages * 86_400e6).astype("timedelta64[us]")
    features: list[dict[str, object]] = [{"x": {"instant": f"{then}+00:00"}} for then in at]
    logs = np.array([0.0, np.log(2.0), -np.log(11.0), np.log(3_651.0)])
    found = context_matrix(with_features(log, features))[:, 0]
    np.testing.assert_allclose(found, (logs - logs.mean()) / logs.std(), atol=1e-9)
