"""The arithmetic of linear regression: sums, Cholesky's method and predictions, compiled.

Sums are written out, not left to BLAS, which may add in another order on another number of threads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.jit import compiled


@compiled
def add_sums(
    gram: NDArray[np.float64],
    right: NDArray[np.float64],
    z: NDArray[np.float64],
    weight: float,
    happened: NDArray[np.float64],
) -> None:
    """Add weight z z' to gram (C, C), and happened[o] z to each row of right (O, C)."""
    for i in range(z.size):
        if z[i] != 0.0:
            for j in range(z.size):
                gram[i, j] += weight * (z[i] * z[j])
            for o in range(happened.size):
                right[o, i] += happened[o] * z[i]


@compiled
def _factor(gram: NDArray[np.float64], ridge: float, lower: NDArray[np.float64]) -> bool:
    """Fill L (C, C) with L L' = gram + ridge I, by Cholesky's method; return whether there is one.

    No pivot of a sum of squares and the ridge is under the ridge, but for rounding. If one is
    under half of it, more was taken back than was ever learned.
    """
    for j in range(gram.shape[0]):
        for i in range(j, gram.shape[0]):
            total = gram[i, j]
            for k in range(j):
                total -= lower[i, k] * lower[j, k]
            if i > j:
                lower[i, j] = total / lower[j, j]
            elif total + ridge > 0.5 * ridge:
                lower[j, j] = np.sqrt(total + ridge)
            else:
                return False
    return True


@compiled
def _diagonal(gram: NDArray[np.float64], ridge: float, lower: NDArray[np.float64]) -> None:
    """Fill L (C, C) as if columns were independent: a belief that is finite whatever the sums."""
    lower[:] = 0.0
    for j in range(gram.shape[0]):
        lower[j, j] = np.sqrt(max(gram[j, j], 0.0) + ridge)


@compiled
def _inverted(lower: NDArray[np.float64], back: NDArray[np.float64]) -> None:
    """Fill the transpose of L^-1 (C, C)."""
    for j in range(lower.shape[0]):
        back[j, j] = 1.0 / lower[j, j]
        for i in range(j + 1, lower.shape[0]):
            total = 0.0
            for k in range(j, i):
                total -= lower[i, k] * back[j, k]
            back[j, i] = total / lower[i, i]


@compiled
def solve(
    gram: NDArray[np.float64],
    right: NDArray[np.float64],
    ridge: float,
    inverse: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> None:
    """Fill the inverse of gram + ridge I (C, C), and the weights (O, C)."""
    size = gram.shape[0]
    lower, back = np.zeros((size, size)), np.zeros((size, size))
    if not _factor(gram, ridge, lower):
        _diagonal(gram, ridge, lower)
    _inverted(lower, back)
    for i in range(size):
        for j in range(i, size):
            total = 0.0
            for k in range(j, size):
                total += back[i, k] * back[j, k]
            inverse[i, j] = total
            inverse[j, i] = total
    for o in range(right.shape[0]):
        for i in range(size):
            total = 0.0
            for j in range(size):
                total += inverse[i, j] * right[o, j]
            weights[o, i] = total


@compiled
def predict(
    inverse: NDArray[np.float64],
    weights: NDArray[np.float64],
    z: NDArray[np.float64],
    values: NDArray[np.float64],
    mean: NDArray[np.float64],
    variance: NDArray[np.float64],
) -> None:
    """Fill mean and variance (A,); the columns that are 0 are passed over."""
    used = np.flatnonzero(z)
    for action in range(mean.size):
        value, spread = 0.0, 0.0
        for i in used:
            row = 0.0
            for j in used:
                row += inverse[action, i, j] * z[j]
            spread += row * z[i]
            for o in range(values.size):
                value += values[o] * weights[action, o, i] * z[i]
        mean[action] = value
        variance[action] = max(spread, 0.0)
