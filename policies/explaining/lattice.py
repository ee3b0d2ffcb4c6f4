"""The number nearest to another at which something is different: a search on a lattice."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from agents.context import FeatureValue

_EVEN, _HALVINGS = 32, 24  # points of the search in each direction

Best = Callable[[FeatureValue], int | None]
"""The action that is the best at a value, None if it is the same as now."""
Found = tuple[FeatureValue, float, int]
"""The value, how far it is from now, and the action that is the best there."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """Numbers `k step` between two ends, around an origin that need not be one of them.

    Args:
        origin: the number now; for an unknown one just below the point to begin with.
        low, high: how far it may go.
        step: a power of ten, or 1 for whole numbers.
    """

    origin: float
    low: float
    high: float
    step: float

    def number(self, k: int) -> float:
        """Return a lattice point as a number with few digits.

        Example:
            >>> 3 * 0.1, Lattice(0.0, 0.0, 1.0, step=0.1).number(3)
            (0.30000000000000004, 0.3)
        """
        return k * self.step if self.step >= 1.0 else k / round(1.0 / self.step)

    def offsets(self, up: bool) -> list[int]:
        """List lattice points in one direction from the origin outwards, denser close by.

        Example:
            >>> Lattice(origin=4.2, low=0.0, high=8.9, step=1.0).offsets(up=True)
            [5, 6, 7, 8]
        """
        base = self.origin / self.step
        sign = 1 if up else -1
        first = math.floor(base) + 1 if up else math.ceil(base) - 1
        last = math.floor(self.high / self.step) if up else math.ceil(self.low / self.step)
        far = (last - first) * sign
        if far < 0:
            return []
        even = {far * n // _EVEN for n in range(_EVEN + 1)}
        return [first + sign * n for n in sorted(even | {far >> n for n in range(_HALVINGS)})]


def search(
    lattice: Lattice, width: float, value: Callable[[int], FeatureValue], best: Best
) -> Found | None:
    """Find the lattice point nearest to the origin where another action is the best.

    Args:
        lattice: where to look.
        width: what a distance is a share of; above 0.
        value: makes of a lattice point what `best` is asked about.
        best: tells which action is the best at a value.

    Returns:
        None if there is no such point among those looked at.
    """
    found: list[tuple[float, int]] = []
    for up in (False, True):
        behind: int | None = None
        for k in lattice.offsets(up):
            if best(value(k)) is not None:
                nearest = k if behind is None else _halved(behind, k, value, best)
                found.append((abs(lattice.number(nearest) - lattice.origin) / width, nearest))
                break
            behind = k
    if not found:
        return None
    size, k = min(found)
    action = best(value(k))
    assert action is not None
    return value(k), size, action


def _halved(same: int, other: int, value: Callable[[int], FeatureValue], best: Best) -> int:
    """Halve the gap between a point without and a point with another best action."""
    while abs(other - same) > 1:
        middle = (same + other) // 2
        if best(value(middle)) is None:
            same = middle
        else:
            other = middle
    return other
