"""Bayesian logistic regressions that share weights through levels, one for each outcome.

An action belongs to a few levels: the one common to all, its offer, its channel, its send window
and itself. Each level has a weight for the intercept and for each column of x, and

    P(outcome | x, action) = sigmoid(eta),   eta = sum over its levels of w_level . [1, x].

The posterior of the weights is normal and diagonal, updated online by Laplace's approximation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LEAST_CURVATURE = 1e-4


def sigmoid(eta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(-eta)), elementwise, without overflow.

    Example:
        >>> sigmoid(np.array([-1e4, 0.0, 1e4])).round(6).tolist()
        [0.0, 0.5, 1.0]
    """
    return np.asarray(1.0 / (1.0 + np.exp(np.minimum(-eta, 700.0))), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Posterior:
    """Means and variances of all weights; the arrays are changed by `learn` only.

    A weight of variance 0 stays what it is, which is how a level is kept from using x.

    Args:
        mean: (O, L, 1+D) float64, by outcome, level and column of z = [1, x].
        variance: (O, L, 1+D) float64, not negative.
    """

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]

    def predict(
        self, levels: NDArray[np.intp], z: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and variance of eta for several actions.

        The variance leaves out the first level, common to all actions: a shift that all actions
        share cannot make one better than another, so it must not make them explore.

        Args:
            levels: (E, J) positions of each action's levels, the common one first.
            z: (1+D,) [1, x].

        Returns:
            Two arrays (O, E).
        """
        # Sums, not matrix products: BLAS may add in another order on another number of threads.
        by_level = (self.mean * z).sum(axis=2)  # (O, L)
        spread = (self.variance * (z * z)).sum(axis=2)  # (O, L)
        own = levels[:, 1:]  # (E, J-1)
        return by_level[:, levels].sum(axis=2), spread[:, own].sum(axis=2)

    def learn(
        self, outcomes: slice, levels: NDArray[np.intp], z: NDArray[np.float64], happened: float
    ) -> None:
        """Learn that outcomes happened, or had not yet, after one action.

        With s2 = sum v z^2, p = sigmoid(eta) and h = max(p (1 - p), 1e-4):
        `m += v z (y - p) / (1 + h s2)` and `v = 1 / (1/v + h z^2)`.

        Args:
            outcomes: which models learn.
            levels: (J,) the action's levels.
            z: (1+D,) [1, x].
            happened: y, 1 or 0.

        Source: Chapelle and Li, NeurIPS 2011, algorithm 3, here one step at a time.
        """
        mean = self.mean[outcomes, levels]  # (o, J, 1+D)
        variance = self.variance[outcomes, levels]  # (o, J, 1+D)
        pull, squares = variance * z, z * z  # (o, J, 1+D), (1+D,)
        eta = (mean * z).sum(axis=(1, 2))  # (o,)
        uncertainty = (pull * z).sum(axis=(1, 2))  # (o,) s2
        chance = sigmoid(eta)  # (o,)
        curvature = np.maximum(chance * (1.0 - chance), _LEAST_CURVATURE)  # (o,)
        step = (happened - chance) / (1.0 + curvature * uncertainty)  # (o,)
        self.mean[outcomes, levels] = mean + pull * step[:, None, None]
        shrink = 1.0 + curvature[:, None, None] * squares * variance  # (o, J, 1+D)
        self.variance[outcomes, levels] = variance / shrink
