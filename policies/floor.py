"""The exploration floor: every allowed action keeps a stated minimum probability.

Spread evenly over E actions, a floor of eps lets importance weights grow to E / eps: too much to
value single actions where there are hundreds. Spread over factors, first over the offers, then over
the channels of each, then over the rest, it keeps the weight of an offer under (number of offers) /
eps, whatever the number of its variants.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.errors import StateError
from policies.jit import compiled

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def mix_floor(probabilities: Floats, allowed: Bools, floor: float) -> Floats:
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
    mixed, total = _mixed(np.asarray(probabilities, dtype=np.float64), allowed, float(floor))
    if not 0.0 < total < np.inf:
        raise _unusable(total)
    return mixed


def mix_factored_floor(
    probabilities: Floats, allowed: Bools, floor: float, factors: NDArray[np.int64]
) -> Floats:
    """Mix a distribution with one that is even over factors: p = (1 - eps) q + eps share.

    Args:
        probabilities: (A,) q, 0 where barred.
        allowed: (A,) boolean, at least one true.
        floor: eps in [0, 1].
        factors: (A, F) as in `factored_shares`.

    Returns:
        (A,) float64, exactly 0 where barred, sums to 1 within rounding.

    Raises:
        StateError: as in `mix_floor`.
    """
    shares = factored_shares(allowed, factors)  # (A,)
    return _whole(np.where(allowed, (1.0 - floor) * probabilities + floor * shares, 0.0))  # (A,)


def factored_shares(allowed: Bools, factors: NDArray[np.int64]) -> Floats:
    """Spread 1 evenly over the values of the first factor, each part over those of the next.

    What the last factor leaves together is shared alike. Values without an allowed action get
    nothing; `none` counts as an offer.

    Args:
        allowed: (A,) boolean, at least one true.
        factors: (A, F) numbers from 0 of each action's offer, channel and window, coarse to fine.

    Returns:
        (A,) float64, 0 where barred, sums to 1.

    Example:
        >>> factors = np.array([[0, 0], [1, 0], [1, 1], [1, 1]])
        >>> factored_shares(np.ones(4, dtype=np.bool_), factors).tolist()
        [0.5, 0.25, 0.125, 0.125]
    """
    return _factored(allowed, np.ascontiguousarray(factors, dtype=np.int64))


def largest_weight(shares: Floats, floor: float, groups: NDArray[np.int64] | None = None) -> float:
    """Return the largest importance weight that any target can have under a floor.

    Args:
        shares: (A,) of the floor, from `factored_shares`, or 1 / |E| where allowed.
        floor: eps in [0, 1]; at 0 there is no bound.
        groups: (A,) numbers from 0, say of offers: the weight of the group, not of its actions.

    Example:
        >>> factors = np.array([[0, 0], [1, 0], [1, 1], [1, 1]])
        >>> shares = factored_shares(np.ones(4, dtype=np.bool_), factors)
        >>> largest_weight(shares, 0.1), largest_weight(shares, 0.1, factors[:, 0])
        (80.0, 20.0)
    """
    parts = shares if groups is None else np.bincount(groups, weights=shares)
    return float(1.0 / (floor * parts[parts > 0.0].min())) if floor > 0.0 else float("inf")


def _whole(mixed: Floats) -> Floats:
    total = float(mixed.sum())
    if not 0.0 < total < np.inf:
        raise _unusable(total)
    return np.asarray(mixed / total, dtype=np.float64)  # (A,)


def _unusable(total: float) -> StateError:
    return StateError(f"expected finite probabilities over the allowed actions, got sum {total}")


@compiled
def _mixed(probabilities: Floats, allowed: Bools, floor: float) -> tuple[Floats, float]:
    """Mix in an even floor; return the whole distribution, (A,), and what it was divided by."""
    mixed, count = np.zeros(allowed.size), 0
    for i in range(allowed.size):
        count += allowed[i]
    share = floor / count
    for i in range(allowed.size):
        if allowed[i]:
            mixed[i] = (1.0 - floor) * probabilities[i] + share
    total = _sum(mixed)
    for i in range(allowed.size):
        mixed[i] /= total
    return mixed, total


@compiled
def _sum(values: Floats) -> float:
    """Add up in the order in which NumPy does, so that a table of rows has the same bits.

    Up to 128 numbers are added in eight chains; more are halved, at a multiple of eight.
    """
    size = values.size
    if size > 128:
        half = size // 2 - size // 2 % 8
        return _sum(values[:half]) + _sum(values[half:])
    total, whole = 0.0, 0
    if size >= 8:
        whole = size - size % 8
        chains = values[:8].copy()
        for i in range(8, whole):
            chains[i % 8] += values[i]
        total = (chains[0] + chains[1]) + (chains[2] + chains[3])
        total += (chains[4] + chains[5]) + (chains[6] + chains[7])
    for i in range(whole, size):
        total += values[i]
    return total


@compiled
def _factored(allowed: Bools, factors: NDArray[np.int64]) -> Floats:
    """Divide 1 by the number of siblings, one factor after the other."""
    shares = np.where(allowed, 1.0, 0.0)  # (A,)
    parent, parents = np.zeros(allowed.size, dtype=np.int64), 1
    for f in range(factors.shape[1]):
        width = factors[:, f].max() + 1
        number = np.full(parents * width, -1)  # of each pair of a parent and a value
        siblings = np.zeros(parents, dtype=np.int64)
        child, children = np.zeros_like(parent), 0
        for i in np.flatnonzero(allowed):
            pair = parent[i] * width + factors[i, f]
            if number[pair] < 0:
                number[pair] = children
                children += 1
                siblings[parent[i]] += 1
            child[i] = number[pair]
        for i in np.flatnonzero(allowed):
            shares[i] /= siblings[parent[i]]
        parent, parents = child, children
    alike = np.zeros(parents, dtype=np.int64)
    for i in np.flatnonzero(allowed):
        alike[parent[i]] += 1
    for i in np.flatnonzero(allowed):
        shares[i] /= alike[parent[i]]
    return shares
