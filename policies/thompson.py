"""Thompson sampling without samples: the distribution of the best action.

The utility of action a is `U_a = sum over outcomes o of value_o sigmoid(eta_oa) - cost_a` with
independent normal `eta_oa`. Thompson sampling draws each U_a once and takes the largest; here the
probability of that is computed, so that it can be floored, logged and drawn from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from policies.logistic import sigmoid
from policies.quadrature import pooled_grid, stieltjes

_NODES = np.polynomial.hermite_e.hermegauss(5)[0]  # (5,) of a standard normal
_WEIGHTS = np.array(np.polynomial.hermite_e.hermegauss(5)[1]) / np.sqrt(2.0 * np.pi)  # (5,)
_SCORES = np.linspace(-5.0, 5.0, 33)  # (K,) standard scores that the grid follows
_LEAST_SD = 1e-9  # an arm without spread is a step; this keeps the division finite
_NEGLIGIBLE = 0.02  # share of the main outcome's sd under which the rest is a constant
_MOST_BEND = 0.3  # keeps the quadratic rising over nearly all scores
_LEAST_VALUE = 1e-12  # currency; stands in for an outcome worth less, or nothing
_TINY, _ALMOST_ONE = 1e-300, 1.0 - 2.0**-53


@dataclass(frozen=True, slots=True)
class Utilities:
    """What is believed of each allowed action's reward.

    Args:
        mean, sd: (O, E) of eta; sd already scaled by alpha.
        values: (O,) currency, any sign.
        costs: (E,) currency.
    """

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    values: NDArray[np.float64]
    costs: NDArray[np.float64]

    def best(self, size: int) -> NDArray[np.float64]:
        """Return the probability that each action has the largest utility.

        Args:
            size: G, points of the grid.

        Returns:
            (E,) float64, sums to 1.
        """
        if self.costs.size == 1:
            return np.ones(1)
        arms = self._arms()
        return stieltjes(arms.cdf(pooled_grid(arms.points(), size)))

    def _arms(self) -> _Arms:
        """Split each utility into the outcome that moves it most, and all else.

        The rest keeps its first three moments, as a quadratic in one normal score (Cornish and
        Fisher, 1938): sums of sigmoids are skewed, and a normal would misplace their tails.
        """
        eta = self.mean + self.sd * _NODES[:, None, None]  # (5, O, E)
        worth = self.values[:, None] * sigmoid(eta)  # (5, O, E)
        weights = _WEIGHTS[:, None, None]
        means = (weights * worth).sum(axis=0)  # (O, E)
        off = worth - means  # (5, O, E)
        squares = (weights * off**2).sum(axis=0)  # (O, E)
        cubes = (weights * off**3).sum(axis=0)  # (O, E)
        every = np.arange(self.costs.size)  # (E,)
        main = squares.argmax(axis=0)  # (E,)
        shift, square, cube = (m.sum(axis=0) - m[main, every] for m in (means, squares, cubes))
        rest_sd = np.sqrt(np.maximum(square, 0.0))  # (E,)
        bend = cube / np.maximum(6.0 * rest_sd**3, _TINY)  # (E,)
        bend = np.clip(bend, -_MOST_BEND, _MOST_BEND)  # (E,)
        return _Arms(
            value=self.values[main],
            mean=self.mean[main, every],
            sd=np.maximum(self.sd[main, every], _LEAST_SD),
            main_sd=np.sqrt(squares[main, every]),
            shift=shift - self.costs,
            rest_sd=rest_sd / np.sqrt(1.0 + 2.0 * bend**2),
            bend=bend,
        )


@dataclass(frozen=True, slots=True)
class _Arms:
    """One utility each: U = value sigmoid(mean + sd X) + shift + rest_sd (Y + bend (Y^2 - 1)).

    X and Y are independent standard normal scores; every field has shape (E,), and `main_sd` is
    the standard deviation of the first term.
    """

    value: NDArray[np.float64]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    main_sd: NDArray[np.float64]
    shift: NDArray[np.float64]
    rest_sd: NDArray[np.float64]
    bend: NDArray[np.float64]

    def points(self) -> NDArray[np.float64]:
        """Points from the lower to the upper end of each arm, (E, K) ascending in each row."""
        up = np.where(self.value < 0.0, -1.0, 1.0) * self.sd  # (E,)
        eta = self.mean[:, None] + up[:, None] * _SCORES  # (E, K)
        rest = self.shift[:, None] + self.rest_sd[:, None] * _SCORES  # (E, K)
        return np.asarray(self.value[:, None] * sigmoid(eta) + rest, dtype=np.float64)

    def cdf(self, grid: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return P(U <= t) on a grid, (E, G+1), mixing over the rest where it matters."""
        if not np.any(self.rest_sd > _NEGLIGIBLE * self.main_sd):
            return self._main_cdf(grid - self.shift[:, None])
        score = _NODES[:, None]  # (5, 1)
        rest = self.shift + self.rest_sd * (score + self.bend * (score**2 - 1.0))  # (5, E)
        mixed = self._main_cdf(grid - rest[:, :, None])  # (5, E, G+1)
        return np.asarray((_WEIGHTS[:, None, None] * mixed).sum(axis=0), dtype=np.float64)

    def _main_cdf(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return P(value sigmoid(mean + sd X) <= t), elementwise; t has shape (..., E, G+1).

        For a positive value that is Phi((logit(t / value) - mean) / sd); for a negative one the
        inequality turns round, and with it the sign of Phi's argument.
        """
        small = np.abs(self.value) < _LEAST_VALUE  # (E,)
        value = np.where(small, np.copysign(_LEAST_VALUE, self.value), self.value)[
            :, None
        ]  # (E, 1)
        scale = (np.where(self.value < 0.0, -1.0, 1.0) / self.sd)[:, None]  # (E, 1)
        chance = np.minimum(np.maximum(t / value, _TINY), _ALMOST_ONE)  # (..., E, G+1)
        logit = np.log(chance / (1.0 - chance))  # (..., E, G+1)
        return np.asarray(ndtr((logit - self.mean[:, None]) * scale), dtype=np.float64)
