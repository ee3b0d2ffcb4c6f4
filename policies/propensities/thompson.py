"""Thompson sampling without samples: the distribution of the best action.

The utility of action a is `U_a = sum over outcomes o of value_o sigmoid(eta_oa) - cost_a` with
independent normal `eta_oa`. Thompson sampling draws each U_a once and takes the largest; here the
probability of that is computed, so that it can be floored, logged and drawn from.

An action that is where the contest is decided with a probability under 1e-9 gets exactly 0.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.jit import compiled
from policies.models.logistic import Design, Posterior
from policies.models.logistic_kernels import Positions, predict_row, worth
from policies.propensities.arms import gaussian_arms, logistic_arms
from policies.propensities.contest import largest

Floats = NDArray[np.float64]

_FINEST = 1.0 / 40.0  # of 1 / size; 128 points stop at 2e-4 of probability
_COARSER = 2.5  # with several outcomes, whose rest is known to about 1e-3 only

_CHUNK = 256  # customers that a thread takes at a time
_MOST_THREADS = 16


@dataclass(frozen=True, slots=True)
class Utilities:
    """What is believed of each allowed action's reward.

    Args:
        mean, sd: (O, E) of eta; sd already scaled by alpha.
        values: (O,) currency, any sign.
        costs: (E,) currency.
    """

    mean: Floats
    sd: Floats
    values: Floats
    costs: Floats

    def best(self, size: int = 128) -> Floats:
        """Return the probability that each action has the largest utility.

        Args:
            size: G, points that a hard problem may take: a cell is halved as long as that moves
                more than 1 / (40 G) of probability.

        Returns:
            (E,) float64, sums to 1.

        Example:
            >>> one = np.ones((1, 3))
            >>> even = Utilities(-one, 0.5 * one, np.array([80.0]), np.zeros(3))
            >>> even.best().round(9).tolist()
            [0.333333333, 0.333333333, 0.333333333]
        """
        mean, sd = np.ascontiguousarray(self.mean), np.ascontiguousarray(self.sd)  # (O, E)
        return _best(mean, sd, self.values, self.costs, _FINEST / size)


def best_of(
    beliefs: Posterior,
    design: Design,
    z: Floats,
    hope: Floats,
    alpha: float,
    values: Floats,
    costs: Floats,
    allowed: NDArray[np.bool_],
    size: int = 128,
) -> tuple[Floats, Floats]:
    """Return `Utilities.best` of one customer's allowed actions, and what each is expected to earn.

    All in one piece: between compiled parts, arrays would cost as much as the arithmetic.

    Args:
        beliefs: of logistic regressions, O outcomes.
        design: of A actions.
        z: (C,) [1, x].
        hope: (O,) by how many sds the means of eta are moved.
        alpha: the share of the sd that is drawn from.
        values: (O,) currency, any sign.
        costs: (A,) currency.
        allowed: (A,) boolean, at least one true.
        size: as in `Utilities.best`.

    Returns:
        (A,) float64, exactly 0 where barred, and (A,) currency.
    """
    return _best_of(
        beliefs.mean, beliefs.variance, design.levels, design.coefficients, design.own, design.wide,
        z, hope, alpha, values, costs, allowed, _FINEST / size,
    )  # fmt: skip


def best_table(
    mean: Floats,
    sd: Floats,
    values: Floats,
    costs: Floats,
    allowed: NDArray[np.bool_],
    size: int = 128,
) -> Floats:
    """Return `Utilities.best` of many customers, each over the actions allowed to him.

    Chunks of customers are done by as many threads as there are processors; what is found does not
    depend on how many there are.

    Args:
        mean: (N, O, A) of eta.
        sd: (N, O, A) not negative, already scaled by alpha.
        values: (O,) currency, any sign.
        costs: (A,) currency.
        allowed: (N, A) boolean, at least one true in each row.
        size: as in `Utilities.best`.

    Returns:
        (N, A) float64, exactly 0 where barred: the very bits of one customer at a time.

    Example:
        >>> mean = np.full((2, 1, 3), -1.0)
        >>> allowed = np.array([[True, False, True], [False, True, False]])
        >>> best_table(mean, 0.5 * abs(mean), np.array([80.0]), np.zeros(3), allowed).tolist()
        [[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]
    """
    mean, sd = np.ascontiguousarray(mean), np.ascontiguousarray(sd)  # (N, O, A)
    found, tolerance = np.zeros(allowed.shape), _FINEST / size  # (N, A)

    def fill(first: int) -> None:
        rows = slice(first, first + _CHUNK)
        _best_rows(mean[rows], sd[rows], values, costs, allowed[rows], tolerance, found[rows])

    firsts = range(0, len(allowed), _CHUNK)
    if len(firsts) <= 1:
        for first in firsts:
            fill(first)
    else:
        with ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS, len(firsts))) as pool:
            list(pool.map(fill, firsts))
    return found


def gaussian_best(mean: Floats, sd: Floats, size: int = 128) -> Floats:
    """Return the probability that each of several independent normal utilities is the largest.

    Args:
        mean: (E,) currency.
        sd: (E,) currency, not negative.
        size: as in `Utilities.best`.

    Returns:
        (E,) float64, sums to 1.

    Example:
        >>> gaussian_best(np.array([1.0, 0.0]), np.array([0.6, 0.8])).round(4).tolist()
        [0.8413, 0.1587]
    """
    arms, starts = gaussian_arms(mean, sd)
    return largest(arms, np.ones(1), False, starts, _FINEST / size)


@compiled
def _best(mean: Floats, sd: Floats, values: Floats, costs: Floats, tolerance: float) -> Floats:
    """Return the probability of each action, (E,)."""
    if costs.size == 1:
        return np.ones(1)
    arms, weights, starts = logistic_arms(mean, sd, values, costs)
    if weights.size > 1:
        tolerance *= _COARSER
    return largest(arms, weights, True, starts, tolerance)


@compiled
def _best_of(
    mean: Floats,
    variance: Floats,
    levels: Positions,
    coefficients: Floats,
    own: Floats,
    wide: int,
    z: Floats,
    hope: Floats,
    alpha: float,
    values: Floats,
    costs: Floats,
    allowed: NDArray[np.bool_],
    tolerance: float,
) -> tuple[Floats, Floats]:
    """Return the probability and the expected reward of each action, (A,) each."""
    shape = (values.size, costs.size)
    means, variances = np.empty(shape), np.empty(shape)
    predict_row(mean, variance, levels, coefficients, own, wide, z, means, variances)
    found = _best_allowed(means, variances, hope, alpha, values, costs, allowed, tolerance)
    return found, worth(means, values, costs)


@compiled
def _best_allowed(
    mean: Floats,
    variance: Floats,
    hope: Floats,
    alpha: float,
    values: Floats,
    costs: Floats,
    allowed: NDArray[np.bool_],
    tolerance: float,
) -> Floats:
    """Return the probability of each action, (A,), from means and variances, (O, A) each."""
    chosen = np.flatnonzero(allowed)  # (E,)
    moved, sd = np.empty((values.size, chosen.size)), np.empty((values.size, chosen.size))
    for o in range(values.size):
        for e in range(chosen.size):
            spread = np.sqrt(variance[o, chosen[e]])
            moved[o, e] = mean[o, chosen[e]] + hope[o] * spread
            sd[o, e] = alpha * spread
    shares, found = _best(moved, sd, values, costs[chosen], tolerance), np.zeros(costs.size)
    for e in range(chosen.size):
        found[chosen[e]] = shares[e]
    return found


@compiled
def _best_rows(
    mean: Floats,
    sd: Floats,
    values: Floats,
    costs: Floats,
    allowed: NDArray[np.bool_],
    tolerance: float,
    found: Floats,
) -> None:
    """Write the probability of each allowed action of each customer to `found`, (N, A)."""
    for n in range(len(allowed)):
        chosen = np.flatnonzero(allowed[n])  # (E,)
        if chosen.size == costs.size:
            found[n] = _best(mean[n], sd[n], values, costs, tolerance)
            continue
        shares = _best(
            np.ascontiguousarray(mean[n][:, chosen]),
            np.ascontiguousarray(sd[n][:, chosen]),
            values,
            costs[chosen],
            tolerance,
        )
        for i in range(chosen.size):
            found[n, chosen[i]] = shares[i]
