"""The truth of a made-up world: logits that actions share through their levels, and that drift.

    eta_o(z, a) = base_o + sum over the levels of a (all, offer, channel, window, itself) of
                  b_o + u_o . z

with independent normal b and u for each level, correlated by a half over outcomes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SHARED = 0.5  # correlation of the weights of two outcomes

_Parts = tuple[NDArray[np.float64], ...]


@dataclass(frozen=True, slots=True)
class Spread:
    """Standard deviations of a level's part of eta: (of b, of u . z over customers).

    Args:
        common: of what all actions have alike.
        level: of each offer, channel and window.
        own: of each action, beside its levels.
        kept: correlation of a weight before and after the drift at half time.
    """

    common: tuple[float, float]
    level: tuple[float, float]
    own: tuple[float, float]
    kept: float


def _draw_parts(
    counts: tuple[int, ...], size: tuple[int, int], spread: Spread, rng: np.random.Generator
) -> _Parts:
    """Draw the weights of all, of each offer, channel, window and action: (count, 1+F, O) each."""
    columns, outcomes = size
    sds = (spread.common, spread.level, spread.level, spread.level, spread.own)
    parts = []
    for count, (alone, taste) in zip(counts, sds, strict=True):
        sd = np.full((1 + columns, 1), taste / np.sqrt(columns))  # (1+F, 1)
        sd[0] = alone
        single = rng.normal(size=(count, 1 + columns, outcomes))
        joint = rng.normal(size=(count, 1 + columns, 1))
        parts.append(sd * (np.sqrt(1.0 - _SHARED) * single + np.sqrt(_SHARED) * joint))
    return tuple(parts)


def _weights(parts: _Parts, levels: NDArray[np.intp]) -> NDArray[np.float64]:
    """Add up the weights of each action's levels, (A, 1+F, O)."""
    common, *shared, own = parts
    total = common + own  # (A, 1+F, O)
    for position, part in enumerate(shared):
        has = levels[:, position] >= 0  # (A,)
        total[has] += part[levels[has, position]]
    return np.asarray(total)


def draw_logits(
    z: NDArray[np.float64],
    levels: NDArray[np.intp],
    outcomes: int,
    spread: Spread,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw a world and return eta without its bases, (N, A, O).

    Args:
        z: (N, F) customers in the order of time, columns standardised.
        levels: (A, 3) offer, channel and window, -1 for none.
        outcomes: O.
        spread: how much the levels differ.
        rng: of the weights.
    """
    counts = (1, *np.maximum(levels.max(axis=0) + 1, 0).tolist(), len(levels))
    size = z.shape[1], outcomes
    first, news = (_draw_parts(counts, size, spread, rng) for _ in range(2))
    fresh = np.sqrt(1.0 - spread.kept**2)
    second = tuple(spread.kept * old + fresh * new for old, new in zip(first, news, strict=True))
    ones = np.hstack([np.ones((len(z), 1)), z])  # (N, 1+F)
    half = len(z) // 2
    parts = ((ones[:half], first), (ones[half:], second))
    return np.concatenate([np.einsum("nf,afo->nao", z, _weights(p, levels)) for z, p in parts])


def set_rates(
    eta: NDArray[np.float64], counted: NDArray[np.bool_], rates: tuple[float, ...]
) -> NDArray[np.float64]:
    """Find each outcome's base by bisection, so that its mean chance is the rate; (N, A, O).

    Args:
        eta: (N, A, O) without the bases.
        counted: (N, A) boolean, over which the mean is taken.
        rates: (O,) in (0, 1).

    Example:
        >>> chance = set_rates(np.zeros((2, 3, 1)), np.ones((2, 3), dtype=bool), (0.02,))
        >>> float(chance[0, 0, 0].round(6))
        0.02
    """
    chance = np.empty_like(eta)  # (N, A, O)
    for outcome, rate in enumerate(rates):
        logits = eta[counted, outcome]  # (counted,)
        low, high = -25.0, 15.0
        for _ in range(40):
            base = (low + high) / 2.0
            over = np.mean(1.0 / (1.0 + np.exp(-base - logits))) > rate
            low, high = (low, base) if over else (base, high)
        chance[:, :, outcome] = 1.0 / (1.0 + np.exp(-base - eta[:, :, outcome]))
    return chance
