"""The reward model's equations are solved an offer at a time, with the answer of all at once."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import pytest
from numpy.typing import NDArray

from experiments.reward_models.action_columns import ActionColumns, Moments

Floats = NDArray[np.float64]

ACTIONS = (
    "none", "plan/save@email#morning", "plan/save@email#evening", "plan/free@push", "plan/free@sms",
    "plan/gift@sms", "credit/thanks@email#morning", "credit/lock@sms", "tea@app", "coffee@app",
)  # fmt: skip
PENALTY = 10.0


def one_hot(names: list[str]) -> Floats:
    return np.array([[name == each for each in sorted(set(names))] for name in names], np.float64)


def all_at_once(
    x: Floats, action: NDArray[np.int64], reward: Floats, stands: Floats, actions: tuple[str, ...]
) -> Floats:
    """Ridge regression on [1, B[a], x, x (x) O[a]] as it is written; returns (D + 1, A)."""
    halves = [each.partition("@") for each in actions]
    offers = one_hot([half[0].partition("/")[0] for half in halves])
    channels = one_hot([half[2].partition("#")[0] for half in halves])
    windows = one_hot([half[2].partition("#")[2] for half in halves])
    about = np.hstack([one_hot(list(actions)), offers, channels, windows])  # (A, K)

    def rows(x: Floats, action: NDArray[np.int64]) -> Floats:
        products = x[:, :, None] * offers[action][:, None]
        crossed = products.reshape(len(x), x.shape[1] * offers.shape[1])
        return np.hstack([np.ones((len(x), 1)), about[action], x, crossed])

    seen = rows(x, action)
    ridge = PENALTY * np.eye(seen.shape[1])
    ridge[0, 0] = 0.0
    theta = np.linalg.solve((seen.T * stands) @ seen + ridge, (seen.T * stands) @ reward)
    probes = np.vstack([np.zeros(x.shape[1]), np.eye(x.shape[1])])  # (D + 1, D)
    found = np.array(
        [rows(probes, np.full(len(probes), a)) @ theta for a in range(len(actions))]
    ).T  # (D + 1, A)
    found[1:] -= found[0]
    return found


@pytest.mark.parametrize("width", [0, 1, 4])
@pytest.mark.parametrize("actions", [ACTIONS, ACTIONS[-2:], ("none", *"abcdefghij")])
@pytest.mark.parametrize("thinned", [False, True])
def test_it_is_the_ridge_regression_of_all_columns(
    width: int, actions: tuple[str, ...], thinned: bool
) -> None:
    rng = np.random.default_rng(width)
    n = 600
    x = rng.normal(size=(n, width))
    action = rng.integers(len(actions) - (len(actions) > 2), size=n)  # one may never be drawn
    reward = rng.normal(size=n) + action + (x.sum(axis=1) * (action % 3) if width else 0.0)
    stands = rng.integers(1, 5, size=n).astype(np.float64) if thinned else np.ones(n)
    halves = [
        Moments.of(
            x[rows], action[rows], reward[rows], len(actions), stands[rows] if thinned else None
        )
        for rows in (slice(0, 250), slice(250, n))
    ]
    found = ActionColumns.of(actions).fit(reduce(add, halves), PENALTY)
    expected = all_at_once(x, action, reward, stands, actions)
    assert found.shape == (width + 1, len(actions))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


def test_hundreds_of_offers_are_no_matter() -> None:
    """All at once, 2,000 offers of 12 features are 26,000 columns: 5 GB, and hours."""
    rng = np.random.default_rng(3)
    names = tuple(f"o{number}@app" for number in range(2_000))
    action = rng.integers(2_000, size=30_000)
    x = rng.normal(size=(30_000, 12))
    reward = 2.0 + x[:, 0] * np.where(action % 2, 1.0, -1.0)
    found = ActionColumns.of(names).fit(Moments.of(x, action, reward, 2_000), 1.0)
    assert found[0].mean() == pytest.approx(2.0, abs=0.05)
    assert found[1, 1::2].mean() > 0.7
    assert found[1, ::2].mean() < -0.7
