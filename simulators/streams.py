"""Random streams by name: what is drawn for one thing never depends on anything else drawn."""

from __future__ import annotations

from enum import IntEnum
from itertools import count

import numpy as np
from numpy.typing import NDArray


class Purpose(IntEnum):
    """What a stream is for; the first part of its name."""

    CUSTOMERS = 0
    TIMETABLE = 1
    RESPONSES = 2
    PLACEMENTS = 3


def stream(seed: int, purpose: Purpose, *key: int) -> np.random.Generator:
    """Return the generator of (seed, purpose, key), the same whenever and wherever it is asked for.

    No state is shared between streams, so a customer's luck does not depend on how many others
    were asked before, in which order, or by how many processes (common random numbers).

    Args:
        seed: of the whole world, 0 or more.
        purpose: what is drawn.
        key: whole numbers, 0 or more; always the same count of them for one purpose.

    Example:
        >>> first, again = (stream(1, Purpose.RESPONSES, 7, 2) for _ in range(2))
        >>> bool(first.random() == again.random())
        True
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(purpose), *key)))


class Draws:
    """Hands out one stream per attribute and column.

    So the first customers of a larger world, and the first months of a longer one, are the same.

    Args:
        seed: of the whole world.
        customers: N.
    """

    def __init__(self, seed: int, customers: int) -> None:
        self._seed, self._customers, self._next = seed, customers, count()

    def _streams(self, width: int) -> list[np.random.Generator]:
        attribute = next(self._next)
        return [stream(self._seed, Purpose.CUSTOMERS, attribute, i) for i in range(width)]

    def uniform(self) -> NDArray[np.float64]:
        """Return (N,) in [0, 1)."""
        return self.uniforms(1)[:, 0]

    def normal(self) -> NDArray[np.float64]:
        """Return (N,), standard normal."""
        return self.normals(1)[:, 0]

    def uniforms(self, width: int) -> NDArray[np.float64]:
        """Return (N, width) in [0, 1)."""
        return np.stack([g.random(self._customers) for g in self._streams(width)], axis=1)

    def normals(self, width: int) -> NDArray[np.float64]:
        """Return (N, width), standard normal."""
        columns = [g.standard_normal(self._customers) for g in self._streams(width)]
        return np.stack(columns, axis=1)

    def exponentials(self, width: int) -> NDArray[np.float64]:
        """Return (N, width) with mean 1, by inversion."""
        return -np.log1p(-self.uniforms(width))
