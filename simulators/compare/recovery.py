"""How long a policy takes to find its way after the market has changed."""

from __future__ import annotations

import math

import numpy as np

from simulators.compare.life import Floats, Life

BACK = 0.9
"""The share of the skill before that counts as recovered."""

LEAST = 0.05
"""The skill below which an arm knew nothing that a drift could take from it."""

_SMOOTH_DAYS = 14.0  # one round alone is mostly about who happened to be met in it


def possible_gain(life: Life) -> Floats:
    """Return, for each round, the share of what could be gained over `none` that was gained; (T,).

    sum_i (value - none) / sum_i (best allowed - none), both of the state that each customer was in:
    so what the season, fatigue or earlier renewals leave to be gained does not count against it.
    NaN in a round in which nothing could be gained.

    Args:
        life: of an arm.
    """
    gained = (life.value - life.idle).sum(axis=1)  # (T,)
    possible = (life.best - life.idle).sum(axis=1)  # (T,)
    shares = np.full(len(gained), np.nan)
    np.divide(gained, possible, out=shares, where=possible > 0.0)
    return shares


def skill(life: Life, first: float, last: float) -> float:
    """Return how far an arm's choices are from chance's to the best, over the rounds of some days.

    sum (value - uniform) / sum (best allowed - uniform), all of the state that each customer was
    in. 0 is an allowed action at random, 1 the oracle that sees this moment. Where effects fade,
    all that is left to gain shrinks while messages cost what they did, so that any learner gains a
    smaller share over `none`; over chance, which pays the same costs, it does not.

    Args:
        life: of an arm.
        first: day on which the first round may begin.
        last: day on which the last round has ended.

    Returns:
        NaN if there is no such round, or nothing to choose.
    """
    inside = (life.days >= first) & (life.days + _length(life) <= last)  # (T,)
    possible = float((life.best - life.uniform)[inside].sum())
    if possible <= 0.0:
        return math.nan
    return float((life.value - life.uniform)[inside].sum()) / possible


def recovery_days(life: Life, drift: float | None) -> float:
    """Return the days from a drift until an arm chooses 90% as well as before, see `skill`.

    Before: the two weeks up to the drift. Back: the end of the first round at which the skill of
    the last two weeks, or of all days since the drift if they are fewer, reaches it.

    Args:
        life: of an arm.
        drift: the day on which the market changes; None if it does not.

    Returns:
        Days; infinite if it never comes back; NaN if there is no drift, no round before or after
        it, or if the arm chose hardly better than chance before.
    """
    if drift is None:
        return math.nan
    before = skill(life, drift - _SMOOTH_DAYS, drift)
    ends = (life.days + _length(life))[life.days >= drift]
    if math.isnan(before) or before < LEAST or not ends.size:
        return math.nan
    for end in ends.tolist():
        if skill(life, max(drift, end - _SMOOTH_DAYS), end) >= BACK * before:
            return float(end - drift)
    return math.inf


def _length(life: Life) -> float:
    """Return the days of one round."""
    return float(life.days[1] - life.days[0]) if len(life.days) > 1 else math.inf
