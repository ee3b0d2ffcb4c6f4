"""Joint draws: utilities of actions that share levels, with what these levels have in common."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from policies.models.logistic import Design, Posterior, sigmoid
from policies.propensities.sampled import sampled_best

Floats = NDArray[np.float64]


def joint_best(
    posterior: Posterior,
    design: Design,
    z: Floats,
    allowed: NDArray[np.intp],
    *,
    values: Floats,
    costs: Floats,
    alpha: float,
    hope: Floats,
    draws: int,
) -> Floats:
    """Return the share of joint draws of all levels in which each allowed action is the best.

    Actions of one offer rise and fall with it, which independent marginals leave out; outcomes are
    drawn independently, as there. The draws
    depend on the customer's columns and the allowed actions alone, so a replay repeats them.

    Args:
        posterior: of the weights.
        design: of A actions.
        z: (C,) [1, x].
        allowed: (E,) positions.
        values: (O,) currency.
        costs: (A,) currency.
        alpha: factor on the posterior's sd.
        hope: (O, 1) sds that are added to each mean.
        draws: M, 1 or more.

    Returns:
        (E,) float64, sums to 1.
    """
    mean, variance = posterior.predict(design, z)  # (O, A) each
    centre = (mean + hope * np.sqrt(variance))[:, allowed]  # (O, E)
    sd = alpha * np.sqrt(posterior.spread(z))  # (O, L)
    levels, own = design.levels[allowed], design.own[allowed]  # (E, J) each

    def utilities(rng: np.random.Generator, count: int) -> Floats:
        shifts = rng.normal(size=(count, *sd.shape)) * sd  # (M, O, L)
        eta = centre + (shifts[:, :, levels] * own).sum(axis=3)  # (M, O, E)
        worth = (values[:, None] * sigmoid(eta)).sum(axis=1) - costs[allowed]  # (M, E)
        return np.asarray(worth, dtype=np.float64)

    seed = hashlib.sha256(z.tobytes() + allowed.tobytes()).digest()
    return sampled_best(utilities, draws, np.random.default_rng(list(seed)))
