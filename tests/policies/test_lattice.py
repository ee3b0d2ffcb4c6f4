"""The search finds the nearest lattice point, whichever side it is on."""

from __future__ import annotations

import numpy as np
import pytest

from policies.explaining.lattice import Best, Lattice, search


def holds(one: float, other: float) -> Best:
    """Another action is the best at `one` and below, and at `other` and above."""

    def best(value: object) -> int | None:
        assert isinstance(value, float)
        return 7 if value <= one or value >= other else None

    return best


@pytest.mark.parametrize("step", [1.0, 0.1, 0.001, 100.0])
def test_the_nearest_point_of_both_sides_is_found(step: float) -> None:
    rng = np.random.default_rng(6)
    for _ in range(40):
        one, origin, other = (float(x) * step for x in sorted(rng.uniform(-900.0, 900.0, 3)))
        lattice = Lattice(origin, -1000.0 * step, 1000.0 * step, step)
        found = search(lattice, 2000.0 * step, lattice.number, holds(one, other))
        assert found is not None
        points = [lattice.number(k) for k in range(-1000, 1001)]
        flipping = [p for p in points if p <= one or p >= other]
        distance = min(abs(p - origin) for p in flipping)
        value, size, action = found
        assert isinstance(value, float)
        assert abs(value - origin) == pytest.approx(distance, abs=1e-9 * step)
        assert value in flipping
        assert size == pytest.approx(distance / (2000.0 * step))
        assert action == 7


def test_nothing_is_found_beyond_the_ends() -> None:
    lattice = Lattice(0.5, -3.0, 3.0, 1.0)
    asked: list[float] = []

    def best(value: object) -> int | None:
        assert isinstance(value, float)
        asked.append(value)
        return None

    assert search(lattice, 6.0, lattice.number, best) is None
    assert sorted(asked) == [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]


def test_an_origin_at_an_end_has_one_side() -> None:
    lattice = Lattice(10.0, 0.0, 10.0, 1.0)
    assert lattice.offsets(up=True) == []
    assert lattice.offsets(up=False) == list(range(9, -1, -1))


def test_a_wide_range_is_looked_at_closely_near_the_origin() -> None:
    offsets = Lattice(0.0, 0.0, 1e6, 1.0).offsets(up=True)
    assert offsets[:4] == [1, 2, 4, 8]
    assert offsets[-1] == 1_000_000
    assert len(offsets) < 60
    assert max(np.diff(offsets)) <= 1e6 / 32 + 1
