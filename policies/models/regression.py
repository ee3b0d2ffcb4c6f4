"""Bayesian linear regressions, one for each action, several right-hand sides each.

Only sums are state. What follows from them, inverse and weights, is worked out when it is first
asked for after an action's sums have changed, always from the sums alone: so an answer does not
depend on how often was asked, or on a restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from policies.models.naming import Axes, check_array, shared
from policies.models.regression_kernels import add_sums, predict, solve


@dataclass(frozen=True, slots=True)
class Regressions:
    """Sums, and what follows from them; only its methods change them.

    Args:
        gram: (A, C, C) float64, sum of w z z' for each action, without the ridge.
        right: (A, O, C) float64, sum of w y z.
        ridge: prior precision of each weight, over 0.
        inverse: (A, C, C) of gram + ridge I, where `fresh`.
        weights: (A, O, C) inverse times right, where `fresh`.
        fresh: (A,) whether inverse and weights follow from the present sums.
    """

    gram: NDArray[np.float64]
    right: NDArray[np.float64]
    ridge: float
    inverse: NDArray[np.float64]
    weights: NDArray[np.float64]
    fresh: NDArray[np.bool_]

    @classmethod
    def untaught(cls, actions: int, outcomes: int, columns: int, ridge: float) -> Self:
        """Return regressions that have seen nothing."""
        square, wide = (actions, columns, columns), (actions, outcomes, columns)
        empty = np.zeros(actions, dtype=np.bool_)
        return cls(np.zeros(square), np.zeros(wide), ridge, np.zeros(square), np.zeros(wide), empty)

    def learn(
        self, action: int, z: NDArray[np.float64], weight: float, happened: NDArray[np.float64]
    ) -> None:
        """Add one observation of an action.

        Args:
            action: position.
            z: (C,) the customer.
            weight: how much it counts; a negative one takes back.
            happened: (O,) w y for each outcome.
        """
        add_sums(self.gram[action], self.right[action], z, weight, happened)
        self.fresh[action] = False

    def discount(self, share: float) -> None:
        """Let every observation so far count for this share of what it did."""
        self.gram[:] *= share
        self.right[:] *= share
        self.fresh[:] = False

    def predict(
        self, z: NDArray[np.float64], values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the value-weighted mean, and z' G^-1 z, of every action.

        Args:
            z: (C,) the customer.
            values: (O,) currency.

        Returns:
            Two arrays (A,).
        """
        self.refresh()
        mean, variance = np.empty(len(self.fresh)), np.empty(len(self.fresh))  # (A,) each
        predict(self.inverse, self.weights, z, values, mean, variance)
        return mean, variance

    def refresh(self) -> None:
        """Work out inverse and weights of each action whose sums have changed."""
        for action in np.flatnonzero(~self.fresh).tolist():
            solve(
                self.gram[action], self.right[action], self.ridge,
                self.inverse[action], self.weights[action],
            )  # fmt: skip
            self.fresh[action] = True

    def recall(
        self, mine: Axes, theirs: Axes, gram: NDArray[np.float64], right: NDArray[np.float64]
    ) -> None:
        """Copy the sums of what both a state and this have; a column that is new was always 0.

        Args:
            mine: names of actions, outcomes and columns here.
            theirs: those of the state.
            gram: (A', C', C') the state's.
            right: (A', O', C') the state's.

        Raises:
            SnapshotError: the sums are not of the shape that the names say, or not finite.
        """
        actions, outcomes, columns = (len(axis) for axis in theirs)
        shapes = (actions, columns, columns), (actions, outcomes, columns)
        for array, shape in zip((gram, right), shapes, strict=True):
            check_array(array, shape)
        (a, o, c), (old_a, old_o, old_c) = shared(mine, theirs)
        self.gram[np.ix_(a, c, c)] = gram[np.ix_(old_a, old_c, old_c)]
        self.right[np.ix_(a, o, c)] = right[np.ix_(old_a, old_o, old_c)]
        self.fresh[:] = False
