"""Levels: what an action shares with others, and how much is believed of each beforehand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agents.actions import Action
from policies.features.words import word_buckets
from policies.models.logistic import Design

COMMON = "common"
_ACTION, _WORD = "action ", "word "
_BUCKETS = 64
_ENOUGH = 6.0  # expected squared length of x up to which interactions keep the full prior sd


def levels_of(action: Action, *, uplift: bool = False) -> dict[str, float]:
    """Name the levels of an action, each with its coefficient.

    The words of its variant are levels too, so that a new variant begins with what others that
    read alike have taught.

    Args:
        action: of the agent.
        uplift: whether `none` is the base that every contact adds to, rather than an action with
            weights of its own: what customers do anyhow then counts for no contact.

    Example:
        >>> from agents.actions import NONE
        >>> levels_of(NONE)
        {'common': 1.0, 'none': 1.0}
    """
    if action.is_none:
        return {COMMON: 1.0} if uplift else {COMMON: 1.0, "none": 1.0}
    names = [
        COMMON,
        *(["contact"] if uplift else []),
        f"offer {action.offer}",
        f"channel {action.channel}",
    ]
    if action.window:
        names.append(f"window {action.window}")
    levels = dict.fromkeys([*names, f"{_ACTION}{action.id}"], 1.0)
    buckets, by = word_buckets(action.text, _BUCKETS)  # (K,) each
    words = zip(buckets.tolist(), by.tolist(), strict=True)
    return levels | {f"{_WORD}{bucket}": coefficient for bucket, coefficient in words}


def design_of(actions: Sequence[Action], *, uplift: bool = False) -> tuple[tuple[str, ...], Design]:
    """Return the names of all levels, the common one first, and each action's place among them.

    Args:
        actions: A of them.
        uplift: as of `levels_of`.

    Returns:
        L names, and the design of the A actions.
    """
    named = [levels_of(action, uplift=uplift) for action in actions]
    met = dict.fromkeys(name for levels in named for name in levels)
    names = tuple(sorted(met, key=_is_narrow))  # stable: otherwise as they are met
    row = {name: index for index, name in enumerate(names)}
    most = max(len(levels) for levels in named)
    positions = np.zeros((len(named), most), dtype=np.intp)  # (A, J)
    coefficients = np.zeros((len(named), most))  # (A, J)
    for index, levels in enumerate(named):
        positions[index, : len(levels)] = [row[name] for name in levels]
        coefficients[index, : len(levels)] = list(levels.values())
    own = np.where(positions == row[COMMON], 0.0, coefficients)  # (A, J)
    return names, Design(positions, coefficients, own, sum(not _is_narrow(name) for name in names))


def _is_narrow(level: str) -> bool:
    """Whether a level has no weights for the columns of x, but an intercept only."""
    return level.startswith((_ACTION, _WORD))


def prior_variance(
    levels: Sequence[str], norm: float, faith: NDArray[np.float64], tau: float
) -> NDArray[np.float64]:
    """Prior variance of every weight, (1+D, L), the intercept's first.

    Attribute weights have sd tau, ids and words tau / 2 and no interaction, interactions
    `tau min(1, sqrt(6 / E|x|^2))`, and the common intercept 1; those of a column of x times its
    faith.

    Args:
        levels: L names.
        norm: E|x|^2, each column times its faith.
        faith: (D,) as of the encoder.
        tau: the setting.
    """
    variance = np.zeros((1 + len(faith), len(levels)))  # (C, L)
    for row, level in enumerate(levels):
        if level == COMMON:
            variance[:, row] = tau**2
            variance[0, row] = 1.0
        elif _is_narrow(level):
            variance[0, row] = (tau / 2.0) ** 2
        else:
            variance[:, row] = tau**2 * min(1.0, _ENOUGH / norm)
            variance[0, row] = tau**2
    variance[1:] *= faith[:, None] ** 2
    return variance


def split_variance(
    variance: NDArray[np.float64], outcomes: int, shared: float
) -> NDArray[np.float64]:
    """Divide each weight's prior variance between its outcomes' own parts and the part they share.

    The common intercept is each outcome's own: rates differ. A single outcome shares nothing.

    Args:
        variance: (C, L) of whole weights.
        outcomes: O, at least 1.
        shared: share of the part that all outcomes have in common, in [0, 1).

    Returns:
        (O+1, C, L), the shared part last; whole weights keep their variance.
    """
    part = shared if outcomes > 1 else 0.0
    split = np.repeat((1.0 - part) * variance[None], outcomes + 1, axis=0)  # (O+1, C, L)
    split[-1] = part * variance
    split[:, 0, 0] = variance[0, 0]
    split[-1, 0, 0] = 0.0
    return split
