"""Empirical likelihood: the values that some weighting of the decisions at hand makes likely."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from experiments.intervals.base import Bounds, Sample, normal_quantile
from experiments.intervals.grouped import Floats, groups_of

_STEPS, _HALVINGS, _PRECISE = 60, 30, 1e-10


@dataclass(frozen=True)
class EmpiricalLikelihood:
    """Values whose likelihood ratio is not too small, among distributions over what was seen.

    Each customer g gets a probability p_g; among all p under which the mean importance weight is 1
    and the value is v, the likeliest has likelihood prod p_g. The interval holds each v for which
    -2 log of its ratio to the likeliest p with mean weight 1 is below the quantile of chi-square
    with one degree of freedom. It is as asymmetric as the data are, but like the bootstrap it
    knows no conversion of a greater weight than those that were seen.

    The interval is around the value that the mean weight of 1 makes likeliest; where that leaves
    out the estimate itself, it is extended to it.

    Source: Owen, Biometrika 1988, Empirical Likelihood 2001; Karampatziakis, Langford and Mineiro,
        Empirical Likelihood for Contextual Bandits, NeurIPS 2020.
    """

    name: str = "likelihood"
    assumption: str = "true propensities, and some hundred conversions for the chi-square limit"
    anytime: bool = False
    needs_rows: bool = True

    def bounds(self, sample: Sample, level: float) -> Bounds:
        """Return the values that are likely enough, and the estimate."""
        most = normal_quantile(level) ** 2
        groups = groups_of(sample, self.name)
        unit = sample.stderr
        if unit == 0.0:
            return Bounds(sample.value, sample.value)
        weigh = (groups.weights - groups.stands) / max(1.0, float(np.std(groups.weights)))  # (G,)
        free, eta = _likelihood(weigh[None, :])
        p = 1.0 / (1.0 + eta @ weigh[None, :])
        centre = float(p @ groups.terms) / float(p @ groups.sizes)

        def excess(value: float) -> float:
            gaps = (groups.terms - value * groups.sizes) / (unit * math.sqrt(len(groups)))
            return 2.0 * (_likelihood(np.stack([gaps, weigh]))[0] - free) - most

        found = Bounds(_edge(excess, centre, -unit), _edge(excess, centre, unit))
        return found.union(Bounds(sample.value, sample.value))


def _edge(excess: Callable[[float], float], centre: float, step: float) -> float:
    """Return where the excess is 0, from the centre in the direction of a step."""
    near, far = centre, centre + step
    while excess(far) < 0.0:
        near, far = far, far + 2.0 * (far - near)
    return float(optimize.brentq(excess, near, far, xtol=1e-4 * abs(step), rtol=1e-12))


def _likelihood(columns: Floats) -> tuple[float, Floats]:
    """Return max over eta of the sum of log(1 + eta . z) and eta, for columns z (K, G).

    It is by how much the likelihood must fall for all columns to have mean 0. Below 1/G the
    logarithm is continued by a parabola, so that Newton's steps meet no wall.
    """
    least = 1.0 / columns.shape[1]
    eta = np.zeros(len(columns))
    value, slope, bend = _soft_log(1.0 + eta @ columns, least)
    for _ in range(_STEPS):
        gradient = columns @ slope  # (K,)
        hessian = (columns * bend) @ columns.T  # (K, K), positive
        step = np.linalg.lstsq(hessian, gradient, rcond=1e-12)[0]
        gain = float(gradient @ step)
        if gain < _PRECISE:
            break
        scale = 1.0
        for _ in range(_HALVINGS):
            new = _soft_log(1.0 + (eta + scale * step) @ columns, least)
            if new[0].sum() >= value.sum() + 1e-4 * scale * gain:
                break
            scale /= 2.0
        eta = eta + scale * step
        value, slope, bend = new
    return float(value.sum()), eta


def _soft_log(x: Floats, least: float) -> tuple[Floats, Floats, Floats]:
    """Return the continued logarithm, its slope, and minus its second derivative."""
    low = x < least
    safe, u = np.where(low, 1.0, x), x / least
    value = np.where(low, math.log(least) - 1.5 + 2.0 * u - u**2 / 2.0, np.log(safe))
    slope = np.where(low, (2.0 - u) / least, 1.0 / safe)
    return value, slope, np.where(low, 1.0 / least**2, 1.0 / safe**2)
