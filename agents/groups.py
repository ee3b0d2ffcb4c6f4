"""Groups: who is treated, who is measured against; by hash, sticky, growing only adds."""

from __future__ import annotations

import hashlib
from enum import StrEnum

from agents.spec import Holdout
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


def assign(holdout: Holdout, customer: str) -> Group:
    """Assign a customer to a group.

    Control grows from 0 upwards and random from 1 downwards, so enlarging either share moves
    customers out of treatment only, and nobody else.
    """
    where = position(holdout.salt, customer)
    if where < holdout.control:
        return Group.CONTROL
    return Group.RANDOM if where >= 1.0 - holdout.random else Group.TREATMENT
