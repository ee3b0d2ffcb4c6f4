"""The targets that need no more than a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from agents.actions import NONE_ID
from experiments.logs import LoggedDecisions
from experiments.targets.supplied import first_target


def uniform_target(log: LoggedDecisions) -> NDArray[np.float64]:
    """Return equal probabilities for all allowed actions; (N, A)."""
    return log.allowed / np.count_nonzero(log.allowed, axis=1, keepdims=True)  # (N, A)


def logged_target(log: LoggedDecisions) -> NDArray[np.float64]:
    """Return the distributions the decisions were drawn from; (N, A). Every weight is 1."""
    return log.distribution


def none_target(log: LoggedDecisions) -> NDArray[np.float64]:
    """Return probability 1 for `none`; (N, A).

    Raises:
        LogError: columns are places of the rows' own lists, and a row does not list it.
    """
    target, none = np.zeros_like(log.distribution), log.actions.index(NONE_ID)  # (N, A)
    if log.listed is None:
        target[:, none] = 1.0
    else:
        target[log.listed == none] = 1.0
        if not target.any(axis=1).all():
            log.by_action("none")
    return target


NAMED: Mapping[str, Callable[[LoggedDecisions], NDArray[np.float64]]] = {
    "uniform": uniform_target, "none": none_target, "logged": logged_target,
    "first": first_target,
}  # fmt: skip
