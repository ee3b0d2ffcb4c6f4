"""The exploration floor: every allowed action keeps a stated minimum probability."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.errors import StateError


def mix_floor(
    probabilities: NDArray[np.float64], allowed: NDArray[np.bool_], floor: float
) -> NDArray[np.float64]:
    """Mix a distribution with the uniform one over the allowed set: p = (1 - eps) q + eps / |E|.

    The result is renormalised in float64, so it is the very vector that is sampled and logged.
    The largest importance weight of any target is then |E| / eps.

    Args:
        probabilities: (A,) q, 0 where barred.
        allowed: (A,) boolean, at least one true.
        floor: eps in [0, 1].

    Returns:
        (A,) float64, exactly 0 where barred, sums to 1 within rounding.

    Raises:
        StateError: the probabilities are not finite, or none of them is on an allowed action.

    Example:
        >>> allowed = np.array([True, False, True])
        >>> mix_floor(np.array([1.0, 0.0, 0.0]), allowed, 0.1).round(9).tolist()
        [0.95, 0.0, 0.05]
    """
    share = floor / np.count_nonzero(allowed)
    mixed = np.where(allowed, (1.0 - floor) * probabilities + share, 0.0)  # (A,)
    total = float(mixed.sum())
    if not 0.0 < total < np.inf:
        raise StateError(f"expected finite probabilities over the allowed actions, got sum {total}")
    return np.asarray(mixed / total, dtype=np.float64)  # (A,)
