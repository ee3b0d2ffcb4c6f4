"""Groups of a whole table of customers: the very ones that `agents.groups.assign` gives."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from agents.groups import Group
from agents.tabular.batch import Batch

GROUPS = tuple(Group)
"""Groups by their numbers."""

_TREATMENT, _RANDOM, _CONTROL = (
    GROUPS.index(group) for group in (Group.TREATMENT, Group.RANDOM, Group.CONTROL)
)


def group_table(batch: Batch) -> NDArray[np.intp]:
    """Assign every customer of a batch to a group of its revision's agent.

    Returns:
        (N,) positions among `GROUPS`.
    """
    workspace, holdout = batch.revision.workspace, batch.revision.agent.holdout
    if holdout.managed is not None:
        groups = _managed(batch, holdout.managed)
    else:
        where = positions(holdout.salt, batch.customers)  # (N,)
        groups = np.where(where >= 1.0 - holdout.random, _RANDOM, _TREATMENT)
        groups[where < holdout.control] = _CONTROL
    universal = workspace.universal_control
    if universal is not None:
        groups[positions(universal.salt, batch.customers) < universal.share] = _CONTROL
    return groups.astype(np.intp)


def positions(salt: str, customers: list[str]) -> NDArray[np.float64]:
    """Return each customer's position in [0, 1), as `agents.groups.position` does; (N,).

    Example:
        >>> from agents.groups import position
        >>> bool(positions("1", ["ann", "bob"])[1] == position("1", "bob"))
        True
    """
    start = f"{salt}\0"
    digests = [sha256((start + customer).encode()).digest()[:8] for customer in customers]
    return (np.frombuffer(b"".join(digests), dtype=">u8") >> np.uint64(11)) / 2.0**53  # (N,)


def _managed(batch: Batch, field: str) -> NDArray[np.intp]:
    """Read the groups that are assigned elsewhere; unknown means control."""
    column, numbers = batch.columns[field], {str(g): n for n, g in enumerate(GROUPS)}
    if column.kind != "word":
        return np.full(batch.count, _CONTROL)
    found = [_CONTROL, *(numbers.get(str(word), _CONTROL) for word in column.words)]
    return np.array(found, dtype=np.intp)[batch.field(field).codes]
