"""What an evaluation refuses before it begins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from agents.groups import Group
from experiments.logs import LoggedDecisions


def check_question(log: LoggedDecisions, target: NDArray[np.float64]) -> None:
    """Refuse what no estimator can answer.

    Args:
        log: N decisions.
        target: (N, A) probabilities.

    Raises:
        LogError: no decisions, control decisions, or one customer only.
        ValueError: a target that is no (N, A) array of distributions.
    """
    if not len(log):
        raise LogError("expected decisions to value a policy on, got none")
    control = int(np.count_nonzero(log.group == Group.CONTROL))
    if control:
        raise LogError(
            f"expected decisions of the treatment and random groups only, got {control} of the"
            " control group; keep the others with log.in_groups('treatment', 'random')"
        )
    if len(set(log.customer.tolist())) < 2:
        raise LogError(
            f"expected decisions of at least two customers, got {len(log)} decisions of"
            f" {len(set(log.customer.tolist()))}"
        )
    check_target(log, target)


def check_target(log: LoggedDecisions, target: NDArray[np.float64]) -> None:
    """Refuse a target that is no (N, A) array of distributions.

    Raises:
        ValueError: it is none.
    """
    if not len(log):
        return
    if target.shape != log.distribution.shape:
        raise ValueError(
            f"expected a target of shape {log.distribution.shape} (decisions, actions),"
            f" got {target.shape}"
        )
    sums = target.sum(axis=1)  # (N,)
    if not np.all(target >= 0.0) or not np.allclose(sums, 1.0, rtol=0.0, atol=1e-6):
        raise ValueError(
            "expected a target whose rows are probabilities that sum to 1;"
            f" got a least value of {target.min():g} and sums from {sums.min():g} to {sums.max():g}"
        )
