"""Estimators of a policy's value, one a file.

A new estimator is one module here and one line in `ESTIMATORS`.
"""

from __future__ import annotations

from collections.abc import Mapping

from agents.errors import UnknownNameError, did_you_mean
from experiments.estimators.base import ENOUGH_CONVERSIONS, Estimate, Estimator
from experiments.estimators.dm import DirectMethod
from experiments.estimators.dr import DoublyRobust
from experiments.estimators.ips import InversePropensity
from experiments.estimators.snips import SelfNormalised

__all__ = ["ENOUGH_CONVERSIONS", "ESTIMATORS", "Estimate", "Estimator", "find_estimator"]

ESTIMATORS: Mapping[str, Estimator] = {
    estimator.name: estimator
    for estimator in (InversePropensity(), SelfNormalised(), DirectMethod(), DoublyRobust())
}


def find_estimator(name: str) -> Estimator:
    """Return an estimator by its name.

    Raises:
        UnknownNameError: there is no such estimator.

    Example:
        >>> find_estimator("dr").needs_model
        True
    """
    try:
        return ESTIMATORS[name]
    except KeyError:
        hint = did_you_mean(name, ESTIMATORS)
        raise UnknownNameError(f"there is no estimator {name!r}; {hint}") from None
