"""The oracle: it sees each customer's true state, and what messages cost later has a price."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from agents.context import Context
from agents.mask import Mask
from agents.revision import Revision
from agents.tabular.batch import Batch
from policies.base import Distribution, Lesson
from simulators.offline.expected import expected_table
from simulators.world import World

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Oracle:
    """Takes the allowed action of the highest true expected reward, less a price of contact.

        argmax over the allowed of r_a - price [a is not none];  of equals, the first.

    With a price of 0 it is myopic: what a message costs later, by fatigue and by a customer who
    closes a channel, it does not see. A price above 0 stands for that.

    Args:
        world: whose truth it sees, bound to the revision that decides.
        price: currency per contact, 0 or more.

    Raises:
        ValueError: a price that is not finite, or below 0.
    """

    name: ClassVar[str] = "oracle"

    def __init__(self, world: World, price: float = 0.0) -> None:
        if not 0.0 <= price < np.inf:
            raise ValueError(f"price: expected a finite number of 0 or more, got {price}")
        self._world = world
        self._rows = {world.customer_id(row): row for row in range(world.customers)}
        silent = np.array([action.is_none for action in world.revision.actions])
        self._prices = np.where(silent, 0.0, price)  # (A,)

    @classmethod
    def create(cls, revision: Revision) -> Self:
        """Refuse: a revision alone says nothing of the truth.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"{cls.name}: expected a world to see, got revision {revision.id} alone")

    @classmethod
    def from_bytes(cls, state: bytes, revision: Revision) -> Self:
        """Refuse, as `create`."""
        del state
        return cls.create(revision)

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        """Return certainty of the best; expected rewards are the true ones, without the price."""
        row = self._rows[context.customer]
        expected = self._world.expected_rewards(row, context.at)  # (A,)
        certain = self._certain(expected[None], mask.allowed[None])
        return Distribution(certain[0], expected)

    def answers_of(
        self, rows: Batch, which: NDArray[np.intp], allowed: Flags
    ) -> tuple[Floats, Floats]:
        """Return the same for some rows of a batch, (T, A) each."""
        customers = [self._rows[rows.customers[row]] for row in which.tolist()]
        expected = expected_table(self._world, np.array(customers), rows.at)  # (T, A)
        return self._certain(expected, allowed), expected

    def _certain(self, expected: Floats, allowed: Flags) -> Floats:
        worth = np.where(allowed, expected - self._prices, -np.inf)  # (T, A)
        found = np.zeros(expected.shape)
        found[np.arange(len(found)), np.argmax(worth, axis=1)] = 1.0
        return found

    def update(self, lessons: Sequence[Lesson]) -> None:
        """Learn nothing: it knows."""

    def to_bytes(self) -> bytes:
        """Return nothing: it has no state of its own."""
        return b""
