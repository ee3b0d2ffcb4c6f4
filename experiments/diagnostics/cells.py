"""Sums of many columns by cell, in one go over the rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.jit import compiled

Floats = NDArray[np.float64]


@compiled
def add_rows(cells: NDArray[np.intp], values: Floats, out: Floats) -> None:
    """Add each of N rows to the row of its cell, in order.

    Args:
        cells: (N,) below C.
        values: (N, D).
        out: (C, D) to which they are added.

    Example:
        >>> out = np.zeros((2, 1))
        >>> add_rows(np.array([1, 0, 1]), np.array([[1.0], [2.0], [3.0]]), out)
        >>> out.tolist()
        [[2.0], [4.0]]
    """
    for row in range(len(cells)):
        for column in range(values.shape[1]):
            out[cells[row], column] += values[row, column]
