"""Compiled parts of the logistic regressions: predict, learn, fade; shapes as in `logistic`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.jit import compiled

_LEAST_CURVATURE = 1e-4
_STEPS = 100  # of Newton or halving for one label; most need two or three
_CLOSE = 1e-10

Floats = NDArray[np.float64]
Positions = NDArray[np.intp]


@compiled
def _sweep(
    mean: Floats, variance: Floats, z: Floats, wide: int, by_level: Floats, spread: Floats
) -> None:
    """Add what one set of weights, (C, L), says of each level, one column after the other.

    Levels from `wide` on have an intercept only: the first column.
    """
    for column in range(len(z)):
        value = z[column]
        if value != 0.0:
            square = value * value
            for level in range(wide if column else mean.shape[1]):
                by_level[level] += mean[column, level] * value
                spread[level] += variance[column, level] * square


@compiled
def predict(
    mean: Floats,
    variance: Floats,
    levels: Positions,
    coefficients: Floats,
    own: Floats,
    wide: int,
    z: Floats,
    means: Floats,
    variances: Floats,
) -> None:
    """Write mean and variance of eta for N rows of z, (N, O, A) each."""
    for row in range(len(z)):
        predict_row(
            mean, variance, levels, coefficients, own, wide, z[row], means[row], variances[row]
        )


@compiled
def predict_row(
    mean: Floats,
    variance: Floats,
    levels: Positions,
    coefficients: Floats,
    own: Floats,
    wide: int,
    z: Floats,
    means: Floats,
    variances: Floats,
) -> None:
    """Write mean and variance of eta for one row of z, (C,), to (O, A) each."""
    outcomes, count = len(mean) - 1, mean.shape[2]
    by_level, spread = np.empty(count), np.empty(count)
    shared, shared_spread = np.zeros(count), np.zeros(count)
    _sweep(mean[outcomes], variance[outcomes], z, wide, shared, shared_spread)
    for outcome in range(outcomes):
        by_level[:] = shared
        spread[:] = shared_spread
        _sweep(mean[outcome], variance[outcome], z, wide, by_level, spread)
        for action in range(len(levels)):
            total, around = 0.0, 0.0
            for j in range(levels.shape[1]):
                level = levels[action, j]
                total += coefficients[action, j] * by_level[level]
                around += own[action, j] ** 2 * spread[level]
            means[outcome, action] = total
            variances[outcome, action] = around


@compiled
def worth(mean: Floats, values: Floats, costs: Floats) -> Floats:
    """Return the sum of value times sigmoid(eta) over the outcomes, less cost, (A,)."""
    found = np.empty(costs.size)
    for action in range(costs.size):
        total = 0.0
        for outcome in range(values.size):
            eta = mean[outcome, action]
            total += values[outcome] / (1.0 + np.exp(700.0 if eta < -700.0 else -eta))
        found[action] = total - costs[action]
    return found


@compiled
def worths(mean: Floats, values: Floats, costs: Floats) -> Floats:
    """Return `worth` of N rows of means, (N, O, A) to (N, A)."""
    found = np.empty((len(mean), costs.size))
    for row in range(len(mean)):
        found[row] = worth(mean[row], values, costs)
    return found


@compiled
def _best_point(eta: float, s2: float, happened: float, weight: float) -> float:
    """Solve t = eta + s2 weight (happened - sigmoid(t)); its sides cross once, between the ends."""
    pull = s2 * weight
    low, high = eta + pull * (happened - 1.0), eta + pull * happened
    t = min(max(eta, low), high)
    for _ in range(_STEPS):
        p = 1.0 / (1.0 + np.exp(-t))
        gap = t - eta - pull * (happened - p)
        if gap > 0.0:
            high = t
        else:
            low = t
        if abs(gap) < _CLOSE:
            break
        t -= gap / (1.0 + pull * p * (1.0 - p))
        if not low < t < high:
            t = 0.5 * (low + high)
    return t


@compiled
def _project(
    mean: Floats, variance: Floats, levels: Positions, coefficients: Floats, wide: int, z: Floats
) -> tuple[float, float]:
    """Return eta and s2 of one action under one outcome's weights, (C, L)."""
    eta, s2 = 0.0, 0.0
    for j in range(len(levels)):
        k, level = coefficients[j], levels[j]
        if k != 0.0:
            for column in range(len(z) if level < wide else 1):
                step = k * z[column]
                eta += mean[column, level] * step
                s2 += variance[column, level] * step * step
    return eta, s2


@compiled
def _move(
    mean: Floats,
    variance: Floats,
    prior: Floats,
    levels: Positions,
    coefficients: Floats,
    wide: int,
    z: Floats,
    move: float,
    curvature: float,
) -> None:
    """Move the weights by v z k move, and add curvature (z k)^2 to their precisions."""
    for j in range(len(levels)):
        k, level = coefficients[j], levels[j]
        for column in range(len(z) if level < wide else 1):
            step, v = k * z[column], variance[column, level]
            if v > 0.0 and step != 0.0:
                precision, most = 1.0 / v + curvature * step * step, prior[column, level]
                after = min(1.0 / precision, most) if precision > 0.0 else most
                # What is taken back goes the other way round: it came with the wider variance.
                mean[column, level] += (after if curvature < 0.0 else v) * step * move
                variance[column, level] = after


@compiled
def learn_one(
    mean: Floats,
    variance: Floats,
    prior: Floats,
    which: Positions,
    by: Floats,
    wide: int,
    o: int,
    z: Floats,
    y: float,
    weight: float,
) -> None:
    """Learn one label of outcome `o`, after an action of some levels, each by some coefficient."""
    last = len(mean) - 1
    eta, s2 = _project(mean[o], variance[o], which, by, wide, z)
    shared, shared_s2 = _project(mean[last], variance[last], which, by, wide, z)
    eta, s2 = eta + shared, s2 + shared_s2
    if s2 <= 0.0:
        return
    point = _best_point(eta, s2, y, weight) if weight > 0.0 else eta
    p = 1.0 / (1.0 + np.exp(-point))
    move = (point - eta) / s2 if weight > 0.0 else weight * (y - p)
    curvature = weight * max(p * (1.0 - p), _LEAST_CURVATURE)
    for part in (o, last):
        _move(mean[part], variance[part], prior[part], which, by, wide, z, move, curvature)


@compiled
def learn(
    mean: Floats,
    variance: Floats,
    prior: Floats,
    levels: Positions,
    coefficients: Floats,
    wide: int,
    outcomes: Positions,
    actions: Positions,
    z: Floats,
    happened: Floats,
    weights: Floats,
) -> None:
    """Learn N labels in order, each by the weights of its outcome and by the shared ones."""
    for row in range(len(outcomes)):
        which, by = levels[actions[row]], coefficients[actions[row]]
        learn_one(
            mean, variance, prior, which, by, wide, outcomes[row], z[row], happened[row],
            weights[row],
        )  # fmt: skip


@compiled
def fade(mean: Floats, variance: Floats, prior: Floats, start: Floats, keep: float) -> None:
    """Weigh what was learned by `keep`, and the prior by the rest."""
    outcomes, columns, count = mean.shape
    for o in range(outcomes):
        intercept = start[o] if o < len(start) else 0.0
        for column in range(columns):
            for level in range(count):
                before, v = prior[o, column, level], variance[o, column, level]
                if before > 0.0 and v > 0.0:
                    first = intercept if column == 0 and level == 0 else 0.0
                    kept, given = keep / v, (1.0 - keep) / before
                    precision = kept + given
                    mean[o, column, level] = (
                        kept * mean[o, column, level] + given * first
                    ) / precision
                    variance[o, column, level] = 1.0 / precision
