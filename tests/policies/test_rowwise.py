"""Floor and draw of many rows are those of each row, in every bit."""

from __future__ import annotations

import hmac

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.errors import StateError
from agents.keyed import keyed
from policies.decide import draw, uniform_draw
from policies.floor import mix_floor
from policies.rowwise import draws, mix_floors, uniform_draws


@pytest.mark.parametrize("actions", [1, 2, 7, 8, 9, 25, 121, 128, 129, 501])
def test_many_rows_are_mixed_and_drawn_as_one_is(actions: int) -> None:
    """Also where NumPy adds up in blocks of 8 and of 128."""
    rng, rows = np.random.default_rng(actions), 200
    allowed = rng.random((rows, actions)) < rng.random((rows, 1))
    allowed[np.arange(rows), rng.integers(actions, size=rows)] = True
    raw = np.where(allowed, rng.exponential(size=(rows, actions)) ** 4, 0.0)
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    floor = rng.choice([0.0, 0.02, 0.3, 1.0], size=rows)
    u = rng.random(rows)
    u[:3] = (0.0, 1.0 - 2.0**-53, 0.5)
    mixed = mix_floors(probabilities, allowed, floor)
    singles = [mix_floor(*row) for row in zip(probabilities, allowed, floor, strict=True)]
    assert mixed.tobytes() == np.array(singles).tobytes()
    drawn = [draw(row, unit) for row, unit in zip(singles, u.tolist(), strict=True)]
    assert draws(mixed, u).tolist() == drawn


def test_a_draw_is_never_of_an_action_without_probability() -> None:
    """Rounding may leave the cumulative sum short of the greatest u, or beyond 1."""
    for first in np.random.default_rng(0).dirichlet(np.ones(9), size=500):
        distribution = np.concatenate(([0.0], first, [0.0]))[None]
        assert draws(distribution, np.array([1.0 - 2.0**-53])).tolist() == [9]
        assert draws(distribution, np.array([0.0])).tolist() == [1]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_probabilities_that_are_not_finite_are_refused_with_their_row(bad: float) -> None:
    probabilities = np.array([[0.5, 0.5], [bad, 0.5]])
    with pytest.raises(StateError, match=rf"got sum {bad} in row 1$"):
        mix_floors(probabilities, np.ones((2, 2), dtype=bool), np.zeros(2))


def test_probability_on_barred_actions_alone_is_refused() -> None:
    with pytest.raises(StateError, match=r"got sum 0.0 in row 0$"):
        mix_floors(np.array([[0.0, 1.0]]), np.array([[True, False]]), np.zeros(1))


@given(st.binary(max_size=150), st.lists(st.text(max_size=80), max_size=4))
def test_random_numbers_are_those_of_the_single_path(secret: bytes, ids: list[str]) -> None:
    mac = keyed(secret)
    for message in ids:
        assert mac(message.encode()) == hmac.digest(secret, message.encode(), "sha256")
    assert uniform_draws(secret, ids).tolist() == [uniform_draw(secret, name) for name in ids]
