"""Thompson sampling by many joint draws, where utilities are not independent."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def sampled_best(
    draw: Callable[[np.random.Generator, int], Floats], draws: int, rng: np.random.Generator
) -> Floats:
    """Return the share of joint draws in which each utility is the largest.

    Mix a floor into these shares, draw the action from the mixture and log its probability: given
    the draws, that is exactly what the action was drawn with, however few they are (Price: weights
    vary more; at 100 draws 1.04 to 1.24 times as much as under the true distribution.) What is
    wrong is to act by one draw and to estimate its probability by others afterwards: an action is
    then chosen more often where its estimate is too low, and weights averaged 1.24 instead of 1.

    Args:
        draw: returns (M, E) utilities, one joint draw in each row.
        draws: M, 1 or more; 128 is a good number.
        rng: made from what a replay knows as well, so that it draws the same.

    Returns:
        (E,) float64, sums to 1; ties are shared alike.

    Example:
        >>> def pair(rng: np.random.Generator, draws: int) -> Floats:
        ...     common = rng.normal(size=(draws, 1))  # what both share decides nothing
        ...     return np.hstack([common, common + 0.1])
        >>> sampled_best(pair, 128, np.random.default_rng(0)).tolist()
        [0.0, 1.0]
    """
    utilities = draw(rng, draws)  # (M, E)
    wins = utilities == utilities.max(axis=1, keepdims=True)  # (M, E)
    return np.asarray((wins / wins.sum(axis=1, keepdims=True)).mean(axis=0), dtype=np.float64)
