from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from policies.models.regression import Regressions


def seen(
    rng: np.random.Generator, count: int, columns: int, outcomes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    z = rng.normal(size=(count, columns)) * (rng.random((count, columns)) < 0.6)
    return z, rng.uniform(0.0, 3.0, count), rng.normal(size=(count, outcomes))


@hypothesis(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(0, 60), st.floats(0.01, 50.0), st.integers(0, 1000))
def test_it_is_weighted_ridge_regression(columns: int, count: int, ridge: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    z, weights, happened = seen(rng, count, columns, 3)
    models = Regressions.untaught(2, 3, columns, ridge)
    for row in range(count):
        models.learn(1, z[row], weights[row], happened[row])
    gram = (z * weights[:, None]).T @ z + ridge * np.eye(columns)
    query, values = rng.normal(size=columns), np.array([2.0, -1.0, 0.5])
    mean, variance = models.predict(query, values)
    theta = np.linalg.solve(gram, z.T @ happened)  # (C, O)
    np.testing.assert_allclose(mean[1], query @ theta @ values, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(variance[1], query @ np.linalg.solve(gram, query), rtol=1e-7)
    assert mean[0] == 0.0
    assert variance[0] == pytest.approx(query @ query / ridge)


def test_taking_back_leaves_what_was_before() -> None:
    rng = np.random.default_rng(5)
    z, weights, happened = seen(rng, 40, 6, 2)
    models = Regressions.untaught(1, 2, 6, 1.0)
    for row in range(20):
        models.learn(0, z[row], weights[row], happened[row])
    query, values = rng.normal(size=6), np.ones(2)
    before = models.predict(query, values)
    for sign in (1.0, -1.0):
        for row in range(20, 40):
            models.learn(0, z[row], sign * weights[row], sign * happened[row])
        after = models.predict(query, values)
        assert np.allclose(after, before, rtol=1e-11) == (sign < 0.0)


def test_more_taken_back_than_was_learned_leaves_a_finite_belief() -> None:
    rng = np.random.default_rng(6)
    z, weights, happened = seen(rng, 50, 10, 1)
    models = Regressions.untaught(1, 1, 10, 1.0)
    for row in range(50):
        models.learn(0, z[row], weights[row] - 1.5, happened[row])
    mean, variance = models.predict(rng.normal(size=10), np.ones(1))
    assert np.isfinite(mean).all()
    assert 0.0 < variance[0] <= 40.0
    assert abs(mean[0]) < 1e3


def test_answers_do_not_depend_on_when_was_asked() -> None:
    rng = np.random.default_rng(8)
    z, weights, happened = seen(rng, 30, 5, 2)
    asked, silent = (Regressions.untaught(1, 2, 5, 1.0) for _ in range(2))
    for row in range(30):
        for models in (asked, silent):
            models.learn(0, z[row], weights[row], happened[row])
        asked.predict(z[row], np.ones(2))
    for mine, theirs in zip(
        asked.predict(z[0], np.ones(2)), silent.predict(z[0], np.ones(2)), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


def test_recalled_as_if_a_lost_column_had_never_been() -> None:
    rng = np.random.default_rng(9)
    z, weights, happened = seen(rng, 30, 4, 1)
    full, narrow = Regressions.untaught(2, 1, 4, 1.0), Regressions.untaught(1, 1, 3, 1.0)
    for row in range(30):
        full.learn(1, z[row], weights[row], happened[row])
        narrow.learn(0, z[row, [2, 0, 3]], weights[row], happened[row])
    again = Regressions.untaught(1, 1, 4, 1.0)
    again.recall(
        (["kept"], ["o"], ["c", "new", "a", "d"]),
        (["gone", "kept"], ["o"], ["a", "b", "c", "d"]),
        full.gram, full.right,
    )  # fmt: skip
    query = rng.normal(size=3)
    mine = again.predict(np.array([query[0], 0.0, query[1], query[2]]), np.ones(1))
    np.testing.assert_allclose(mine, narrow.predict(query, np.ones(1)), rtol=1e-12)


@pytest.mark.parametrize("weight", [0.0, 1e-12, 1e4])
def test_collinear_columns_are_no_trouble(weight: float) -> None:
    models = Regressions.untaught(1, 1, 3, 0.01)
    for _ in range(50):
        models.learn(0, np.ones(3), weight, np.array([weight]))
    mean, variance = models.predict(np.ones(3), np.ones(1))
    assert mean[0] == pytest.approx(150 * weight / (150 * weight + 0.01), rel=1e-6, abs=1e-12)
    assert np.isfinite(variance).all()


def test_discounted_observations_count_as_if_they_had_had_less_weight() -> None:
    rng = np.random.default_rng(11)
    z, weights, happened = seen(rng, 30, 4, 2)
    full, less = (Regressions.untaught(1, 2, 4, 1.0) for _ in range(2))
    for row in range(30):
        full.learn(0, z[row], weights[row], happened[row])
        less.learn(0, z[row], 0.3 * weights[row], 0.3 * happened[row])
    full.predict(z[0], np.ones(2))
    full.discount(0.3)
    mine, theirs = full.predict(z[0], np.ones(2)), less.predict(z[0], np.ones(2))
    np.testing.assert_allclose(mine, theirs, rtol=1e-10)
