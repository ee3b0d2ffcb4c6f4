"""What the intervals share: bounds, quantiles, and errors that respect customers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special


class Bounds(NamedTuple):
    """The two ends of an interval, in the unit of what it is about."""

    low: float
    high: float

    def union(self, other: Bounds) -> Bounds:
        """Return the smallest interval that holds both."""
        return Bounds(min(self.low, other.low), max(self.high, other.high))


def normal_quantile(level: float) -> float:
    """Return z such that a standard normal lies in [-z, z] with probability `level`.

    Raises:
        ValueError: the level is not inside (0, 1).

    Example:
        >>> round(normal_quantile(0.95), 3)
        1.96
    """
    return float(special.ndtri(_upper_tail(level)))


def t_quantile(level: float, df: float) -> float:
    """Return t such that Student's t with `df` > 0 lies in [-t, t] with probability `level`.

    Raises:
        ValueError: the level is not inside (0, 1).

    Example:
        >>> round(t_quantile(0.95, 4.0), 3)
        2.776
    """
    return float(special.stdtrit(df, _upper_tail(level)))


def _upper_tail(level: float) -> float:
    if not 0.0 < level < 1.0:
        raise ValueError(f"expected a level between 0 and 1, such as 0.95; got {level!r}")
    return 0.5 + level / 2.0


def clustered_error(terms: NDArray[np.float64], customers: NDArray[np.object_]) -> float:
    """Return the standard error of a mean whose terms are dependent within a customer.

    With totals D_c of (term - mean) over each of C customers, it is
    sqrt(C / (C - 1) sum D_c^2) / N. With one term a customer it is the usual standard error.

    Args:
        terms: (N,).
        customers: (N,) text.

    Raises:
        ValueError: fewer than two customers.

    Source: Liang and Zeger, Biometrika 1986.

    Example:
        >>> terms, both = np.array([0.0, 0.0, 2.0, 2.0]), np.array(["a", "a", "b", "b"], object)
        >>> clustered_error(terms, both)
        1.0
    """
    _, codes = np.unique(customers.astype(str), return_inverse=True)  # (N,)
    count = int(codes.max(initial=-1)) + 1
    if count < 2:
        raise ValueError(f"expected decisions of at least two customers, got {count}")
    totals = np.bincount(codes, terms - terms.mean())  # (C,)
    return float(np.sqrt(count / (count - 1) * np.sum(totals**2)) / len(terms))
