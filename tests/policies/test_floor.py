from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.errors import StateError
from policies.floor import mix_floor


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
