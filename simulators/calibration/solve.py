"""Solves for the constants of a world: Gauss-Newton steps with a slope that is kept up to date."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from simulators.calibration.constants import Constant
from simulators.market.chance import Floats

_STILL = 0.005
_PERHAPS = 1e-12


def solve(
    apart: Callable[[Floats], Sequence[float]], constants: Sequence[Constant], *, steps: int
) -> Floats:
    """Return the changes by which a world comes nearest to a log.

    With r(c) the distances in standard errors and s the constants' scales, it looks for the
    smallest |r(c)|^2 + |c / s|^2. The slope of r comes from one probe of each constant, and then
    from each step by Broyden's update, so a step takes one simulation.

    Args:
        apart: the distances of P changes, (P,) of (P,).
        constants: P of them.
        steps: at most.

    Source: Nocedal and Wright, Numerical Optimization, 2006, sections 10.3 and 11.1.
    """
    prior = np.diag([1.0 / c.scale**2 for c in constants])  # (P, P)
    at = np.zeros(len(constants))
    away = np.array(apart(at))
    slope = np.empty((len(constants), len(constants)))
    for place, constant in enumerate(constants):
        probe = np.zeros(len(constants))
        probe[place] = constant.probe
        slope[:, place] = (np.array(apart(probe)) - away) / constant.probe

    def cost(there: Floats, distance: Floats) -> float:
        return float(distance @ distance + there @ prior @ there)

    for _ in range(steps):
        step = -np.linalg.solve(slope.T @ slope + prior, slope.T @ away + prior @ at)
        there = np.array([c.bounded(v) for c, v in zip(constants, at + step, strict=True)])
        moved = there - at
        if np.abs(moved).max() < _STILL:
            break
        distance = np.array(apart(there))
        slope += np.outer(distance - away - slope @ moved, moved) / (moved @ moved + _PERHAPS)
        if cost(there, distance) < cost(at, away):
            at, away = there, distance
    return at
