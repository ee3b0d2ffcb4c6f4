from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.errors import StateError
from policies.floor import factored_shares, largest_weight, mix_factored_floor, mix_floor


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(0.0, 1.0))
def test_keeps_the_minimum_and_the_bars(seed: int, count: int, floor: float) -> None:
    rng = np.random.default_rng(seed)
    allowed = rng.random(count) < 0.6
    allowed[rng.integers(count)] = True
    q = np.where(allowed, rng.random(count) ** 8 + 1e-12, 0.0)
    p = mix_floor(q / q.sum(), allowed, floor)
    assert p.sum() == pytest.approx(1.0, abs=1e-12)
    assert not p[~allowed].any()
    assert p[allowed].min() >= floor / allowed.sum() * (1 - 1e-9)


def test_ends() -> None:
    q, allowed = np.array([0.9, 0.1, 0.0]), np.array([True, True, False])
    assert mix_floor(q, allowed, 0.0).tolist() == q.tolist()
    assert mix_floor(q, allowed, 1.0).tolist() == [0.5, 0.5, 0.0]


def test_a_policy_that_answers_nan_decides_nothing() -> None:
    allowed = np.array([True, False, True])
    with pytest.raises(StateError, match="expected finite probabilities .* got sum nan"):
        mix_floor(np.array([np.nan, 0.0, 1.0]), allowed, 0.1)
    with pytest.raises(StateError, match="got sum 0.0"):
        mix_floor(np.array([0.0, 1.0, 0.0]), allowed, 0.0)


def test_a_factored_floor_keeps_offers_within_their_bound() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        factors = np.stack([np.sort(rng.integers(0, 12, 300)), rng.integers(0, 4, 300),
                            rng.integers(0, 3, 300)], axis=1)  # fmt: skip
        allowed = rng.random(300) < 0.4
        q = np.where(allowed, rng.random(300) ** 30 + 1e-12, 0.0)
        p = mix_factored_floor(q / q.sum(), allowed, 0.1, factors)
        offers = np.bincount(factors[:, 0], weights=p)
        open_offers = np.unique(factors[allowed, 0])
        assert p.sum() == pytest.approx(1.0, abs=1e-12)
        assert not p[~allowed].any()
        assert offers[open_offers].min() >= 0.1 / open_offers.size * (1 - 1e-9)
        shares = factored_shares(allowed, factors)
        weight = largest_weight(shares, 0.1, factors[:, 0])
        assert weight == pytest.approx(open_offers.size / 0.1)
        assert p[allowed].min() >= 1.0 / largest_weight(shares, 0.1) * (1 - 1e-9)


def test_shares_divide_at_every_factor() -> None:
    factors = np.array([[0, 0, 0], [1, 0, 0], [1, 0, 1], [1, 1, 0], [2, 0, 0]])
    allowed = np.array([True, True, True, True, False])
    assert factored_shares(allowed, factors).tolist() == [0.5, 0.125, 0.125, 0.25, 0.0]
    assert largest_weight(np.array([0.5, 0.5]), 0.0) == np.inf


def test_a_factored_floor_refuses_nan() -> None:
    with pytest.raises(StateError, match="got sum nan"):
        mix_factored_floor(
            np.array([np.nan, 1.0]), np.array([True, True]), 0.1, np.zeros((2, 3), dtype=np.int64)
        )


def test_the_floor_has_the_bits_of_numpy_at_every_size() -> None:
    rng = np.random.default_rng(3)
    for size in (*range(1, 40), 127, 128, 129, 136, 255, 256, 300, 1_000):
        allowed = rng.random(size) < 0.8
        allowed[rng.integers(size)] = True
        q = np.where(allowed, rng.random(size) ** 3, 0.0)
        q /= q.sum()
        mixed = np.where(allowed, 0.9 * q + 0.1 / np.count_nonzero(allowed), 0.0)
        assert mix_floor(q, allowed, 0.1).tolist() == (mixed / mixed.sum()).tolist()
