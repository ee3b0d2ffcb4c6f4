"""Groups: who is treated, who is measured against; by hash, sticky, growing only adds."""

from __future__ import annotations

import hashlib
from enum import StrEnum

from agents.context import Context
from agents.spec import Holdout, Workspace
from agents.units import unit_interval


class Group(StrEnum):
    """The part of the population a customer belongs to, for one agent."""

    TREATMENT = "treatment"
    RANDOM = "random"
    CONTROL = "control"

    @property
    def teaches(self) -> bool:
        """Whether the learner learns from it: control and random measure, and stay unseen."""
        return self is Group.TREATMENT


def position(salt: str, customer: str) -> float:
    """Map a customer to a uniform position in [0, 1) by SHA-256 of (salt, customer).

    Example:
        >>> position("1", "ann") == position("1", "ann") != position("2", "ann")
        True
    """
    digest = hashlib.sha256(f"{salt}\0{customer}".encode()).digest()
    return unit_interval(digest)


def assign(workspace: Workspace, holdout: Holdout, context: Context) -> Group:
    """Assign a customer to a group.

    The universal control of the workspace comes first and holds for every agent. Where the agent's
    groups are managed elsewhere, a field of the customer says which; without it: control.
    Otherwise control grows from 0 upwards and random from 1 downwards, so enlarging either share
    moves customers out of treatment only, and nobody else.
    """
    universal = workspace.universal_control
    if universal is not None and position(universal.salt, context.customer) < universal.share:
        return Group.CONTROL
    if holdout.managed is not None:
        said = context.features.get(holdout.managed)
        return Group(said) if isinstance(said, str) and said in set(Group) else Group.CONTROL
    if not (holdout.control or holdout.random):
        return Group.TREATMENT  # whatever the position
    where = position(holdout.salt, context.customer)
    if where < holdout.control:
        return Group.CONTROL
    return Group.RANDOM if where >= 1.0 - holdout.random else Group.TREATMENT
