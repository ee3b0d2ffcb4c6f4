"""Importance weights, and how much information they leave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from experiments.logs import LoggedDecisions


def importance_weights(log: LoggedDecisions, target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return w = target probability of the drawn action / its propensity.

    Args:
        log: decisions.
        target: (N, A) probabilities of the policy that is valued.

    Returns:
        (N,) weights >= 0, whose mean is 1 in expectation where the target is supported.
    """
    return np.asarray(target[np.arange(len(log)), log.action] / log.propensity)  # (N,)


def counted_weights(log: LoggedDecisions, target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return importance weights, (N,), each as often as its decision counts in a thinned log."""
    weights = importance_weights(log, target)  # (N,)
    return weights if log.stands is None else weights * log.stands


def effective_size(weights: NDArray[np.float64]) -> float:
    """Return Kish's effective sample size, (sum w)^2 / sum w^2; 0 if all weights are 0.

    Source: Kish, Survey Sampling (1965).

    Example:
        >>> effective_size(np.array([1.0, 1.0, 0.0, 0.0]))
        2.0
    """
    return _size(np.abs(weights))


def effective_conversions(weights: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Return the number of equal conversions that carry as much information as the weighted ones.

    The formula is (sum |w v|)^2 / sum (w v)^2. With values of 0 and 1 and equal weights it is the
    number of conversions. Values may be negative, hence the absolute values. They are those of the
    outcomes, before costs: the cost of a contact is known beforehand, and would count each contact
    as a small conversion.

    Args:
        weights: (N,).
        values: (N,) currency, sum of outcome values.

    Example:
        >>> effective_conversions(np.ones(5), np.array([0.0, 80.0, 80.0, 0.0, 0.0]))
        2.0
    """
    return _size(np.abs(weights * values))


def _size(values: NDArray[np.float64]) -> float:
    squares = float(np.sum(values**2))
    return float(np.sum(values)) ** 2 / squares if squares > 0.0 else 0.0
