"""The targets that need no more than a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from agents.actions import NONE_ID
from experiments.logs import LoggedDecisions


def uniform_target(log: LoggedDecisions) -> NDArray[np.float64]:
    """Return equal probabilities for all allowed actions; (N, A)."""
    return log.allowed / np.count_nonzero(log.allowed, axis=1, keepdims=True)  # (N, A)


def logged_target(log: LoggedDecisions) -> NDArray[np.float64]:
    """Return the distributions the decisions were drawn from; (N, A). Every weight is 1."""
    return log.distribution


def none_target(log: LoggedDecisions) -> NDArray[np.float64]:
    """Return probability 1 for `none`; (N, A)."""
    target = np.zeros_like(log.distribution)  # (N, A)
    target[:, log.actions.index(NONE_ID)] = 1.0
    return target


NAMED: Mapping[str, Callable[[LoggedDecisions], NDArray[np.float64]]] = {
    "uniform": uniform_target, "none": none_target, "logged": logged_target,
}  # fmt: skip
