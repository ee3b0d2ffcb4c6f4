"""The true expected rewards of many customers at once."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from simulators.market.market import Market
from simulators.world import World


def expected_table(world: World, rows: NDArray[np.int64], at: datetime) -> NDArray[np.float64]:
    """Return the exact expected reward of every action for some customers now, costs included.

    Args:
        world: in its present state.
        rows: (n,) positions of customers.
        at: now (UTC).

    Returns:
        (n, A) currency, as `World.expected_rewards` of each.

    Example:
        >>> from simulators.examples import example_revision
        >>> from simulators.worlds.telecom import Telecom
        >>> world = Telecom(example_revision(), customers=3, rounds=1)
        >>> expected_table(world, np.array([2, 0]), world.start).shape
        (2, 25)
    """
    if isinstance(world, Market):
        rates = world.probabilities(rows, at)  # (n, A, O)
        return np.asarray(rates @ world.values - world.costs, dtype=np.float64)
    return np.stack([world.expected_rewards(row, at) for row in rows.tolist()])
