"""What a policy would have answered at every decision of a log."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from agents.revision import Revision
from experiments.logs import LoggedDecisions
from experiments.targets.rows import Reader
from policies.base import Policy
from policies.decide import explore
from policies.floor import mix_floor
from policies.rowwise import mix_floors
from policies.table import TablePolicy

Floats = NDArray[np.float64]
_BLOCK = 8_192  # decisions that a table policy answers at a time


def snapshot_target(
    log: LoggedDecisions,
    revisions: Mapping[str, Revision],
    policy_for: Callable[[Revision], Policy],
) -> Floats:
    """Return what a policy would have answered at every decision, floor included.

    Context and mask come from the log; the floor is that of the revision's agent.

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
    reader = Reader(log, revisions)
    for rows in _by_revision(log, np.arange(len(log))):
        revision = reader.revision(int(rows[0]))
        reader.offered(int(rows[0]), revision)  # refuses before the policy is built, which is slow
        policy_target(reader, rows, revision, policy_for(revision), target)
    return target


def policy_target(
    reader: Reader, rows: NDArray[np.intp], revision: Revision, policy: Policy, target: Floats
) -> None:
    """Write a policy's answers to some decisions of one revision into `target`.

    Where actions came with each request, each is answered by itself: no two need have the same.

    Args:
        reader: of the log.
        rows: (M,) of the log, all of this revision.
        revision: whose actions and floor hold.
        policy: built for a revision with the same actions.
        target: (N, A) of the log.
    """
    if revision.agent.supplied is not None:
        for row in rows.tolist():
            free = reader.free(row, revision)  # (own A,)
            answer = policy.distribution(reader.context(row), reader.mask(row, revision))
            columns = reader.offered(row, revision)
            target[row, columns] = mixed(revision, answer.probabilities, free)
        return
    columns = reader.columns(revision)  # (own A,)
    for first in range(0, len(rows), _BLOCK):
        block = rows[first : first + _BLOCK]
        target[np.ix_(block, columns)] = _answers(reader, block, revision, policy)


def mixed(revision: Revision, probabilities: Floats, free: NDArray[np.bool_]) -> Floats:
    """Return what is drawn from where a policy answers so; (own A,).

    Args:
        revision: of the agent, whose floor holds.
        probabilities: (own A,) of the policy.
        free: (own A,) whether each action is allowed.
    """
    if revision.agent.supplied is None:
        return explore(revision, probabilities, free)
    return mix_floor(probabilities, free, revision.agent.policy.deciding_floor)


def _answers(reader: Reader, rows: NDArray[np.intp], revision: Revision, policy: Policy) -> Floats:
    """Return the answers to some rows, (M, own A); a policy of tables is asked once for all."""
    spec = revision.agent.policy
    allowed = np.ascontiguousarray(reader.log.allowed[np.ix_(rows, reader.columns(revision))])
    if isinstance(policy, TablePolicy):
        x = np.array([policy.encoder.numbers_of(reader.context(row)) for row in rows.tolist()])
        probabilities, _ = policy.answers(x, allowed)  # (M, own A)
    else:
        probabilities = np.array([
            policy.distribution(reader.context(row), reader.mask(row, revision)).probabilities
            for row in rows.tolist()
        ])  # fmt: skip
    if spec.floor_over != "offers":
        return mix_floors(probabilities, allowed, np.full(len(rows), spec.floor))
    each = (explore(revision, p, free) for p, free in zip(probabilities, allowed, strict=True))
    return np.array(list(each))


def _by_revision(log: LoggedDecisions, rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Split rows so that those of one revision are together."""
    names = log.revision[rows].astype(str)
    return [rows[names == name] for name in np.unique(names).tolist()]
