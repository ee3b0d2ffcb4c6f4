"""What a learner believes of each action's reward: its mean and its 5-95% interval.

The reward of action a is believed to be `U_a = sum over outcomes o of value_o g(eta_oa) - cost_a`,
with independent normal `eta_oa`. For a linear learner g is the identity, and U_a normal. For a
logistic one it is the sigmoid: the mean is then a sum of integrals over a normal, and the
distribution a convolution, done on a grid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from agents.context import Context
from policies.models.logistic import sigmoid

_SCORES = np.linspace(-9.0, 9.0, 201)  # (K,) a normal's density is 1e-18 at the ends
_WEIGHTS = np.exp(-0.5 * _SCORES**2) / np.exp(-0.5 * _SCORES**2).sum()  # (K,)
_REACH = 5.0  # standard scores; what lies beyond, 6e-7, is counted at the end
_CELLS = 4096
_LEAST_SD = 1e-9  # a belief without spread is a step; this keeps the division finite
_EDGE = 2.0**-53  # keeps logits finite
_LOW, _HIGH = 0.05, 0.95

Link = Literal["logit", "identity"]


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What is believed of eta for one customer, by outcome and action.

    Args:
        mean: (O, A)
        sd: (O, A) not negative, of the posterior. No exploration factor is in it; the `alpha` of
            linear regressions is none, it is the sd of the noise that they take outcomes to have.
        link: whether eta is the logit of the outcome's probability, or what is expected of it.
    """

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    link: Link = "logit"

    def of(self, actions: NDArray[np.intp]) -> Beliefs:
        """Return what is believed of some actions only."""
        return replace(self, mean=self.mean[:, actions], sd=self.sd[:, actions])


@runtime_checkable
class Linear(Protocol):
    """A learner whose eta, of each outcome after each action, is linear in its columns."""

    def beliefs(self, context: Context) -> Beliefs:
        """Return what is believed of eta, for every action."""

    def terms(self, context: Context, action: int) -> dict[str, NDArray[np.float64]]:
        """Return what each column adds to the mean of eta, (O,) each; their sum is that mean.

        A column of the encoder goes by its name, whichever weights multiply it; an intercept by
        its level's and a further word, such as `none intercept` or `offer roaming_pass intercept`,
        since a field may be called `none` too.
        """


@dataclass(frozen=True, slots=True)
class Worth:
    """What actions are believed to be worth, in currency; (E,) each.

    Args:
        mean: the expectation of the reward, g integrated over the normal of eta.
        low, high: the reward's expectation given the weights is under `low` with probability 5%,
            and over `high` with 5%: what is not known of the customer's rates, not the luck of
            one customer.
    """

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def worth(beliefs: Beliefs, values: NDArray[np.float64], costs: NDArray[np.float64]) -> Worth:
    """Integrate beliefs into what actions are worth.

    The mean is exact to rounding. So are the interval's ends for a linear learner; for a logistic
    one they are off by at most half a step for each outcome, a step being 1/4096 of the sum of the
    outcomes' ranges over 5 sd either way: measured, under 0.1% of the interval's width.

    Args:
        beliefs: of E actions.
        values: (O,) currency, any sign.
        costs: (E,) currency.

    Example:
        >>> sure = Beliefs(np.zeros((1, 1)), np.zeros((1, 1)))
        >>> made = worth(sure, np.array([10.0]), np.array([1.0]))
        >>> [round(float(end[0]), 6) for end in (made.mean, made.low, made.high)]
        [4.0, 4.0, 4.0]
    """
    if beliefs.link == "identity":
        mean = (values[:, None] * beliefs.mean).sum(axis=0) - costs  # (E,)
        sd = np.sqrt(((values[:, None] * beliefs.sd) ** 2).sum(axis=0))  # (E,)
        return Worth(mean, mean + ndtri(_LOW) * sd, mean + ndtri(_HIGH) * sd)
    eta = beliefs.mean[..., None] + beliefs.sd[..., None] * _SCORES  # (O, E, K)
    chances = (sigmoid(eta) * _WEIGHTS).sum(axis=2)  # (O, E)
    mean = (values[:, None] * chances).sum(axis=0) - costs  # (E,)
    columns = zip(beliefs.mean.T, beliefs.sd.T, strict=True)
    ends = np.array([_interval(m, sd, values) for m, sd in columns]).reshape(-1, 2)  # (E, 2)
    return Worth(mean, ends[:, 0] - costs, ends[:, 1] - costs)


def _interval(
    mean: NDArray[np.float64], sd: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the 5% and 95% quantiles of `sum of value sigmoid(eta)`.

    Each term is put on a grid of one step by its exact CDF, and the terms are convolved.

    Args:
        mean: (O,) of eta.
        sd: (O,) of eta.
        values: (O,) currency.
    """
    ends = values[:, None] * sigmoid(mean[:, None] + sd[:, None] * [-_REACH, _REACH])  # (O, 2)
    least, most = ends.min(axis=1), ends.max(axis=1)  # (O,)
    start, width = float(least.sum()), float((most - least).sum())
    if width <= 1e-12 * (1.0 + abs(start)):
        middle = start + width / 2.0
        return middle, middle
    step = width / _CELLS
    size = 2 * _CELLS  # the sum needs little more than `_CELLS`, so nothing wraps round
    spectrum = np.ones(_CELLS + 1, dtype=np.complex128)
    for value, m, s, first in zip(values, mean, sd, least, strict=True):
        if value != 0.0:
            edges = first + step * (np.arange(_CELLS + 1) - 0.5)  # (C+1,)
            spectrum *= np.fft.rfft(_masses(edges, value, m, max(s, _LEAST_SD)), size)
    cdf = np.concatenate(([0.0], np.cumsum(np.fft.irfft(spectrum, size))))  # (2C+1,)
    edges = start + step * (np.arange(size + 1) - 0.5)  # (2C+1,)
    low, high = np.interp((_LOW, _HIGH), np.maximum.accumulate(cdf), edges)
    return float(low), float(high)


def _masses(
    edges: NDArray[np.float64], value: float, mean: float, sd: float
) -> NDArray[np.float64]:
    """Return P(edge < value sigmoid(mean + sd X) <= next edge), (C,), all of it within the ends."""
    chance = np.clip(edges / value, _EDGE, 1.0 - _EDGE)  # (C+1,)
    score = (np.log(chance) - np.log1p(-chance) - mean) / sd  # (C+1,)
    cdf = ndtr(score if value > 0.0 else -score)  # (C+1,)
    cdf[0], cdf[-1] = 0.0, 1.0
    return np.diff(cdf)
