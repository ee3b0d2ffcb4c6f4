"""The contract of a policy: a pure distribution, one mutator, and state that is data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from agents.context import Context
from agents.mask import Mask
from agents.revision import Revision


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a policy answers for one customer and one mask, before the exploration floor.

    Args:
        probabilities: (A,) float64, exactly 0 where barred, sums to 1.
        expected: (A,) float64, expected reward in currency; NaN for a policy without values.
    """

    probabilities: NDArray[np.float64]
    expected: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lesson:
    """One thing to learn, in the order in which the ledger committed it.

    Every decision is first a lesson without outcome ("nothing has happened yet"); each counted
    outcome that arrives later is one more lesson about the same decision.

    Args:
        context, mask, action, propensity: of the decision; `action` is a position.
        outcome: name of a declared outcome that happened, or None for the decision itself.
    """

    context: Context
    mask: Mask
    action: int
    propensity: float
    outcome: str | None = None


class Policy(Protocol):
    """Chooses among allowed actions, and learns from what follows.

    `distribution` changes nothing and depends on nothing but its arguments and the state, so any
    number of replicas may answer from one snapshot. `update` is the only mutator; the state is a
    deterministic function of the lessons in their order.
    """

    name: ClassVar[str]

    @classmethod
    def create(cls, revision: Revision) -> Self:
        """Build an untaught policy with the settings of the revision's agent.

        Raises:
            UnknownNameError: a setting that this policy does not have.
            ValueError: a setting outside its range.
        """

    @classmethod
    def from_bytes(cls, state: bytes, revision: Revision) -> Self:
        """Rebuild from `to_bytes`, under the same or a later revision of the agent.

        What the old revision learned about offers, channels and outcomes that still exist is
        kept; what is new starts untaught.

        Raises:
            SnapshotError: the bytes are not this policy's state.
        """

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        """Return the probability of each action among the allowed; pure."""

    def update(self, lessons: Sequence[Lesson]) -> None:
        """Learn from lessons, in order."""

    def to_bytes(self) -> bytes:
        """Return the whole state as data; the same state gives the same bytes."""
