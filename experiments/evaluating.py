"""What an evaluation refuses before it begins."""

from __future__ import annotations

from collections.abc import Collection

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


def none_closed(groups: Collection[str], open_rows: int) -> str:
    """Say that a log has no closed decision of some groups, and what to do if some are open.

    Args:
        groups: that are looked for.
        open_rows: decisions after which an outcome could still arrive.

    Example:
        >>> none_closed(["random"], 0)
        'expected closed decisions of random, got none'
    """
    said = f"expected closed decisions of {' or '.join(groups)}, got none"
    if not open_rows:
        return said
    return (
        f"{said}; {open_rows:,} decisions are open, because an outcome could still arrive: take the"
        " log again when their windows have ended"
    )


def why_none(groups: Collection[str], log: LoggedDecisions) -> str:
    """Say why a log holds no decision of some groups to value a policy on.

    Args:
        groups: that are looked for; the log has none of them.
        log: its closed decisions.
    """
    said = none_closed(groups, log.open_rows)
    names, counts = np.unique(log.group.astype(str), return_counts=True)
    found = [f"{n:,} of {name}" for name, n in zip(names.tolist(), counts.tolist(), strict=True)]
    said += f"; the closed ones are {', '.join(found)}" if found else ""
    if names.tolist() == [Group.CONTROL]:
        said += (
            ": nothing was drawn for them, so they tell nothing of other policies; take a log with"
            " decisions of treatment or random too"
        )
    return said


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
    sums = target @ np.ones(target.shape[1])  # (N,)
    if not (target.min() >= 0.0 and np.abs(sums - 1.0).max() <= 1e-6):  # NaN is neither
        raise ValueError(
            "expected a target whose rows are probabilities that sum to 1;"
            f" got a least value of {target.min():g} and sums from {sums.min():g} to {sums.max():g}"
        )
