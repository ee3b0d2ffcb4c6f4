"""Weighted counts of outcomes, by rows of names: what learners without features remember.

A count is a sum of label weights, so taking a label back with its negative weight leaves what was
there before, exactly so for weights that binary fractions can express.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from policies.base import Label
from policies.models.naming import check_array


@dataclass(frozen=True, slots=True)
class Counts:
    """How often each outcome happened and did not; its methods alone change the arrays.

    Args:
        happened, not_yet: (S, A, O) float64, by segment, action and outcome.
    """

    happened: NDArray[np.float64]
    not_yet: NDArray[np.float64]

    @classmethod
    def empty(cls, segments: int, actions: int, outcomes: int) -> Self:
        """Return counts of nothing."""
        shape = (segments, actions, outcomes)
        return cls(np.zeros(shape), np.zeros(shape))

    def add(self, segment: int, action: int, outcome: int, label: Label) -> None:
        """Count one label."""
        counted = self.happened if label.happened else self.not_yet
        counted[segment, action, outcome] += label.weight

    def discount(self, share: float) -> None:
        """Let every count be this share of what it was."""
        self.happened[:] *= share
        self.not_yet[:] *= share

    def recall(
        self, arrays: dict[str, NDArray[Any]], places: Sequence[Sequence[int | None]]
    ) -> None:
        """Add the counts of a state to the places that its rows have here.

        Args:
            arrays: `happened` and `not_yet` as `arrays` returns them.
            places: for segments, actions and outcomes of the state, their position here; None for
                what is no more. Several may have the same.

        Raises:
            SnapshotError: the arrays are not of the shape that the names say, or not finite.
        """
        shape = tuple(len(axis) for axis in places)
        kept = [[i for i, place in enumerate(axis) if place is not None] for axis in places]
        here = [[place for place in axis if place is not None] for axis in places]
        for name, mine in self.arrays().items():
            old = check_array(arrays[name], shape)
            np.add.at(mine, np.ix_(*here), old[np.ix_(*kept)])

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return both by name."""
        return {"happened": self.happened, "not_yet": self.not_yet}


def places(theirs: Sequence[str], mine: Sequence[str]) -> list[int | None]:
    """Return the position of each of their names among mine, None where it is not.

    Example:
        >>> places(["sms", "fax"], ["email", "sms"])
        [1, None]
    """
    position = {name: index for index, name in enumerate(mine)}
    return [position.get(name) for name in theirs]
