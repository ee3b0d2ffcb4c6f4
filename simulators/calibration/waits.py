"""Delays: the scale of a world's mixture is fitted to how long outcomes took in a log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from simulators.calibration.logged import Waits
from simulators.market.chance import Floats
from simulators.market.spec import DelaySpec, OutcomeSpec

ENOUGH = 20
"""Outcomes that it takes to speak of their delays."""

_WIDEST = 50.0  # by which a delay may be longer or shorter than the world's
_DAY = timedelta(days=1)


def fitted_scale(delay: Sequence[DelaySpec], waits: Waits) -> float:
    """Return the factor of all medians by which delays fit a log.

    With F the mixture's distribution, T_i what an outcome took and L_i the longest it could have:
    F(T_i / s) / F(L_i / s) is uniform at the true s, so s is where its mean is 1/2. Truncation by
    the window is exact. At most 50, at least 1/50.

    Args:
        delay: of the world.
        waits: n outcomes, at least one.
    """

    def excess(log_scale: float) -> float:
        scale = float(np.exp(log_scale))
        within = _within(delay, waits.taken / scale) / _within(delay, waits.most / scale)
        return float(within.mean()) - 0.5

    low, high = -np.log(_WIDEST), np.log(_WIDEST)
    if excess(low) <= 0.0:
        return float(np.exp(low))
    if excess(high) >= 0.0:
        return float(np.exp(high))
    return float(np.exp(brentq(excess, low, high, xtol=1e-6)))


def scaled(outcome: OutcomeSpec, scale: float) -> OutcomeSpec:
    """Return an outcome whose delays are longer by a factor, to the second."""
    delay = tuple(
        each.model_copy(update={"median": max(timedelta(seconds=1), _whole(each.median * scale))})
        for each in outcome.delay
    )
    return outcome.model_copy(update={"delay": delay})


def _whole(span: timedelta) -> timedelta:
    return timedelta(seconds=round(span.total_seconds()))


def world_quantile(delay: Sequence[DelaySpec], most: Floats, share: float) -> float:
    """Return the days within which a share of a world's outcomes arrive, given their longest."""
    whole = _within(delay, most)

    def excess(days: float) -> float:
        arrived = _within(delay, np.minimum(days, most)) / whole
        return float(arrived.mean()) - share

    return float(brentq(excess, 1e-9, float(most.max()), xtol=1e-7))


def log_quantile(taken: Floats, share: float) -> tuple[float, float]:
    """Return a quantile of a log's delays and its standard error, from its neighbours in rank."""
    away = float(np.sqrt(share * (1.0 - share) / taken.size))
    low, middle, high = np.quantile(
        taken, [max(0.0, share - away), share, min(1.0, share + away)]
    ).tolist()
    return middle, (high - low) / 2.0


def _within(delay: Sequence[DelaySpec], days: Floats) -> Floats:
    """Return P(T <= days) of the mixture; never quite 0, so that it can be divided by."""
    total = sum(each.weight for each in delay)
    logs = np.log(np.maximum(days, 1e-12))
    found = np.full(days.shape, 1e-12)
    for each in delay:
        found += each.weight / total * ndtr((logs - np.log(each.median / _DAY)) / each.sigma)
    return found
