"""Targets: the policies that a log can be asked about, as (N, A) probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from agents.actions import NONE_ID
from agents.context import Context
from agents.decisions import read_context
from agents.errors import LogError
from agents.mask import Mask
from agents.revision import Revision
from agents.units import parse_instant
from experiments.logs import LoggedDecisions
from policies.base import Policy
from policies.decide import explore

_BARRED = "barred in the log"


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


def snapshot_target(
    log: LoggedDecisions,
    revisions: Mapping[str, Revision],
    policy_for: Callable[[Revision], Policy],
) -> NDArray[np.float64]:
    """Return what a policy would have answered at every decision, floor included.

    Context and mask come from the log; the floor is that of the revision's agent. The customer's
    identifier is hashed in the log, which no policy may notice.

    Args:
        log: decisions of one agent.
        revisions: by id, at least those that the log names.
        policy_for: builds the policy for a revision; called once for each.

    Returns:
        (N, A) probabilities.

    Raises:
        LogError: the log names a revision that is not given, or whose actions differ.
    """
    target = np.zeros_like(log.distribution)  # (N, A)
    names = log.revision.astype(str)  # (N,)
    for name in np.unique(names).tolist():
        revision = revisions.get(name)
        if revision is None:
            raise LogError(
                f"the log has decisions of revision {name}, which is not among the"
                f" {len(revisions)} that are known; add revisions/{name}.json beside the log"
            )
        columns = _columns(log, revision)  # (own A,)
        policy = policy_for(revision)
        for row in np.flatnonzero(names == name):
            target[row, columns] = _answer(log, int(row), columns, revision, policy)
    return target


def _columns(log: LoggedDecisions, revision: Revision) -> NDArray[np.int64]:
    """Return the log's column of each action of a revision."""
    place = {name: column for column, name in enumerate(log.actions)}
    try:
        return np.array([place[action.id] for action in revision.actions], dtype=np.int64)
    except KeyError as error:
        message = f"revision {revision.id} has the action {error}, which no row of the log has"
        raise LogError(message) from None


def _answer(
    log: LoggedDecisions,
    row: int,
    columns: NDArray[np.int64],
    revision: Revision,
    policy: Policy,
) -> NDArray[np.float64]:
    allowed = log.allowed[row, columns]  # (own A,)
    mask = Mask(tuple(None if free else _BARRED for free in allowed.tolist()))
    answer = policy.distribution(_context(log, row), mask)
    return explore(revision, answer.probabilities, mask.allowed)


def _context(log: LoggedDecisions, row: int) -> Context:
    at = parse_instant(f"{log.at[row]}+00:00")
    return read_context(log.contexts[row], customer=str(log.customer[row]), at=at)
