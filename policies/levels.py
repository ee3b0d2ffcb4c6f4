"""Levels: what an action shares with others, and how much is believed of each beforehand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agents.actions import Action

COMMON, PAD = "common", ""
_ENOUGH = 6.0  # expected squared length of x up to which interactions keep the full prior sd


def levels_of(action: Action) -> tuple[str, str, str, str, str]:
    """Name the levels of an action; the pad stands where an action has no such level."""
    if action.is_none:
        return (COMMON, "none", PAD, PAD, PAD)
    window = f"window {action.window}" if action.window else PAD
    return (
        COMMON,
        f"offer {action.offer}",
        f"channel {action.channel}",
        window,
        f"action {action.id}",
    )


def prior_variance(
    levels: Sequence[str], norm: float, columns: int, tau: float
) -> NDArray[np.float64]:
    """Prior variance of every weight, (L, columns), the intercept's first.

    Attribute weights have sd tau, ids tau / 2 and no interaction, interactions
    `tau min(1, sqrt(6 / E|x|^2))`, and the common intercept 1.
    """
    variance = np.zeros((len(levels), columns))  # (L, 1+D)
    for row, level in enumerate(levels):
        if level == COMMON:
            variance[row] = tau**2
            variance[row, 0] = 1.0
        elif level.startswith("action "):
            variance[row, 0] = (tau / 2.0) ** 2
        elif level != PAD:
            variance[row] = tau**2 * min(1.0, _ENOUGH / norm)
            variance[row, 0] = tau**2
    return variance
