"""Probability that each of several independent arms is the largest, from their CDFs on a grid.

    p_a = P(U_a > U_b for all b != a) = integral of prod_{b != a} F_b(t) dF_a(t)

is summed as a Stieltjes sum: over the cells of a grid, the mass of arm a in the cell times the mean
of the product of the other CDFs at both ends. It needs no density, works for any distribution,
steps included, and cannot lose the mass of a narrow arm: a coarse grid blurs, but never drops.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEAST = 1e-300  # keeps log F finite; far below any probability that matters


def stieltjes(cdf: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability of each arm to be the largest.

    The real line beyond the grid is two more cells, so no mass is lost whatever the grid.

    Args:
        cdf: (E, G+1) values of F_a at G+1 ascending points, in [0, 1] and not falling.

    Returns:
        (E,) float64, sums to 1. Arms with the same row get the same probability.

    Example:
        >>> stieltjes(np.array([[0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])).round(9).tolist()
        [0.0, 1.0]
        >>> stieltjes(np.ones((4, 1))).tolist()
        [0.25, 0.25, 0.25, 0.25]

    Source: the integral is in Jeunen, arXiv 2504.08773 (2025); the sum needs no density.
    """
    edges = np.empty((cdf.shape[0], cdf.shape[1] + 2))  # (E, G+3)
    edges[:, 0], edges[:, 1:-1], edges[:, -1] = 0.0, cdf, 1.0
    logs = np.log(np.maximum(edges, _LEAST))  # (E, G+3)
    others = np.exp(logs.sum(axis=0) - logs)  # (E, G+3)
    cells = np.diff(edges) * (others[:, 1:] + others[:, :-1])  # (E, G+2)
    mass = cells.sum(axis=1)  # (E,)
    return np.asarray(mass / mass.sum(), dtype=np.float64)


def pooled_grid(points: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Choose the points at which the CDFs of all arms are read.

    Half of them follow the arms' own points (quantiles), so that narrow arms are resolved; half
    are evenly spaced, so that a few wide arms are resolved above a crowd of narrow ones. Nothing
    is read far below the highest lower end, where the largest arm cannot be.

    Args:
        points: (E, K) ascending in each row, from the lower to the upper end of each arm.
        size: G, even; the grid has G + 1 points.

    Returns:
        (G+1,) ascending; equal neighbours are possible.

    Example:
        >>> pooled_grid(np.array([[0.0, 1.0], [0.0, 3.0]]), 4).tolist()
        [0.0, 0.5, 1.0, 2.0, 3.0]
    """
    low = points[:, 0].max()
    pool = np.sort(points, axis=None)  # (E * K,)
    # One point below `low` lets arms without spread, all at or under `low`, be told apart.
    pool = pool[max(0, int(np.searchsorted(pool, low)) - 1) :]
    half = size // 2
    ranks = np.linspace(0.0, len(pool) - 1.0, size - half + 1)  # (G/2 + 1,)
    follow = np.interp(ranks, np.arange(len(pool)), pool)  # (G/2 + 1,)
    even = np.linspace(low, pool[-1], half + 2)[1:-1]  # (G/2,)
    return np.sort(np.concatenate([follow, even]))  # (G+1,)
