"""Distribution functions of value-weighted sums of Beta variables, by convolution on a grid.

    U = sum over outcomes o of value_o B_o - cost,   B_o ~ Beta(a_o, b_o), independent

Each arm has a grid of its own, with cells of a fixed share of U's standard deviation. For one
outcome the function is exact at the edges of cells and linear between them; for several, the mass
of a cell is taken to sit in its middle before the masses are convolved. Nothing is matched by
moments: a Beta that has seen little is so skewed that normals would miss the probabilities of the
best by 0.03 to 0.10 in total variation. This misses them by 0.001, and by 0.002 at worst, for 1 to
4 outcomes of 2 to 50 arms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, ndtr

from policies.propensities.quadrature import pooled_grid, stieltjes

_CELLS = 192
_BELOW, _ABOVE = 6.0, 10.0  # standard deviations of U that the cells reach down and up
_LEVELS = np.asarray(ndtr(np.linspace(-5.0, 5.0, 33)), dtype=np.float64)  # (K,) that a grid follows
_LEAST = 1e-12  # currency; an arm without spread is a step


@dataclass(frozen=True, slots=True)
class Sums:
    """The distribution functions of A arms.

    Args:
        low: (A,) where each arm's cells begin, in currency.
        step: (A,) width of its cells.
        cdf: (A, N+1) P(U <= low + i step).
        points: (A, K) ascending quantiles from the lower to the upper end of each arm.
    """

    low: NDArray[np.float64]
    step: NDArray[np.float64]
    cdf: NDArray[np.float64]
    points: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        a: NDArray[np.float64],
        b: NDArray[np.float64],
        values: NDArray[np.float64],
        costs: NDArray[np.float64],
    ) -> Sums:
        """Work out the distribution functions.

        Args:
            a: (A, O) first parameter of each Beta, above 0.
            b: (A, O) second parameter.
            values: (O,) currency, any sign.
            costs: (A,) currency.

        Example:
            >>> one = np.ones((1, 1))  # uniform between 0 and 10, less 2
            >>> sums = Sums.of(one, one, np.array([10.0]), np.array([2.0]))
            >>> sums.read(np.array([0]), np.array([0.0, 3.0, 9.0])).round(3).tolist()
            [[0.2, 0.5, 1.0]]
        """
        mean = a / (a + b)  # (A, O)
        centre, spread = values * mean, np.abs(values) * np.sqrt(mean * (1.0 - mean) / (a + b + 1))
        sd = np.sqrt((spread**2).sum(axis=1))  # (A,)
        step = np.maximum(sd * (_BELOW + _ABOVE) / _CELLS, _LEAST)  # (A,)
        own, low = _cells(a, b, values, centre, spread, step)  # (A, O, G), (A, O)
        mass = _convolved(own)  # (A, N)
        cdf = np.concatenate([np.zeros((len(mass), 1)), np.cumsum(mass, axis=1)], axis=1)
        cdf /= cdf[:, -1:]
        start = low.sum(axis=1) + (len(values) - 1) / 2.0 * step - costs  # (A,)
        points = np.array(
            [np.interp(_LEVELS, row, np.arange(row.size)) for row in cdf]
        )  # (A, K) in cells
        return cls(start, step, cdf, start[:, None] + points * step[:, None])

    def read(self, arms: NDArray[np.intp], t: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return P(U <= t) for some arms, (E, T), linear between the edges of cells.

        Args:
            arms: (E,) positions.
            t: (T,) currency.
        """
        last = self.cdf.shape[1] - 1
        place = (t - self.low[arms, None]) / self.step[arms, None]  # (E, T)
        place = np.minimum(np.maximum(place, 0.0), float(last))
        cell = np.minimum(place.astype(np.intp), last - 1)  # (E, T)
        left = self.cdf[arms[:, None], cell]  # (E, T)
        rise = self.cdf[arms[:, None], cell + 1] - left
        return np.asarray(left + (place - cell) * rise, dtype=np.float64)

    def best(self, arms: NDArray[np.intp], size: int) -> NDArray[np.float64]:
        """Return the probability of each of some arms to be the largest among them.

        Args:
            arms: (E,) positions.
            size: G, points of the grid.

        Returns:
            (E,) float64, sums to 1.
        """
        if arms.size == 1:
            return np.ones(1)
        return stieltjes(self.read(arms, pooled_grid(self.points[arms], size)))


def _cells(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    values: NDArray[np.float64],
    centre: NDArray[np.float64],
    spread: NDArray[np.float64],
    step: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mass of each outcome in each cell, (A, O, G), and where its cells begin, (A, O).

    The mean of an outcome lies in the middle of a cell; one that spreads over less than a cell is
    put there whole. What lies beyond the ends counts for the last cells. Where
    masses are taken to sit in the middle, the cells are moved by so little that means stay exact.
    """
    below = int(_CELLS * _BELOW / (_BELOW + _ABOVE))
    low = centre - (below + 0.5) * step[:, None]  # (A, O)
    edges = low[:, :, None] + step[:, None, None] * np.arange(_CELLS + 1)  # (A, O, G+1)
    value = np.where(values == 0.0, 1.0, values)[None, :, None]  # (1, O, 1)
    chance = np.clip(edges / value, 0.0, 1.0)  # (A, O, G+1)
    cdf = betainc(a[:, :, None], b[:, :, None], chance)  # (A, O, G+1)
    cdf = np.where(value < 0.0, 1.0 - cdf, cdf)
    cdf[:, :, 0], cdf[:, :, -1] = 0.0, 1.0
    narrow = spread < step[:, None]  # (A, O)
    cdf[narrow] = np.arange(_CELLS + 1) > below
    mass = np.diff(cdf, axis=2)  # (A, O, G)
    if len(values) == 1:
        return mass, low
    middles = low[:, :, None] + step[:, None, None] * (np.arange(_CELLS) + 0.5)  # (A, O, G)
    return mass, low + centre - (mass * middles).sum(axis=2)


def _convolved(mass: NDArray[np.float64]) -> NDArray[np.float64]:
    """Masses of the sum of O independent outcomes, (A, O (G - 1) + 1), from (A, O, G)."""
    outcomes = mass.shape[1]
    if outcomes == 1:
        return mass[:, 0]
    length = outcomes * (_CELLS - 1) + 1
    waves = np.fft.rfft(mass, 2 * length, axis=2).prod(axis=1)  # (A, F)
    return np.maximum(np.fft.irfft(waves, 2 * length, axis=1)[:, :length], 0.0)
