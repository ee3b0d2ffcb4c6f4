"""What a population lived through, as columns: small enough to keep for millions of decisions."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from agents.groups import Group
from agents.revision import Revision
from agents.tabular.groups import GROUPS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Decided:
    """N decisions in the order of time.

    Args:
        customer: (N,) int32 positions in the world.
        round_index: (N,) int32, which of the customer's decisions.
        at: (N,) int64 microseconds since 1970.
        group: (N,) int8 positions among `agents.tabular.groups.GROUPS`.
        action: (N,) int16 positions of the drawn actions.
        allowed: (N,) int16, how many actions could be drawn.
        propensity: (N,) float64.
        explored: (N,) bool.
        taken: (N,) float64 currency, the true expected reward of what was drawn, NaN without truth.
        mean: (N,) likewise, of the distribution that was drawn from.
        none: (N,) likewise, of doing nothing.
        best: (N,) likewise, of the best allowed action.
        uniform: (N,) likewise, of an allowed action at random.
    """

    customer: NDArray[np.int32]
    round_index: NDArray[np.int32]
    at: Ints
    group: NDArray[np.int8]
    action: NDArray[np.int16]
    allowed: NDArray[np.int16]
    propensity: Floats
    explored: NDArray[np.bool_]
    taken: Floats
    mean: Floats
    none: Floats
    best: Floats
    uniform: Floats


@dataclass(frozen=True, slots=True)
class Followed:
    """H outcomes that the company heard of, in the order in which it heard them first.

    Args:
        decision: (H,) positions among the decisions.
        word: (H,) positions among the market's words.
        at: (H,) when it happened, microseconds since 1970.
        reached: (H,) when it was heard first.
        value: (H,) currency, what it adds to the reward of its decision.
    """

    decision: Ints
    word: Ints
    at: Ints
    reached: Ints
    value: Floats


@dataclass(frozen=True, slots=True)
class Played:
    """What happened to a population under a policy.

    Args:
        revision: whose actions the positions refer to.
        customers: N of the world.
        decided: the decisions.
        followed: what was heard of after them.
        words: that the outcomes' positions refer to.
    """

    revision: Revision
    customers: int
    decided: Decided
    followed: Followed
    words: tuple[str, ...]

    def rewards(self) -> Floats:
        """Return the reward that each decision came to, in currency; (N,)."""
        costs = np.array([action.cost for action in self.revision.actions])  # (A,)
        followed = self.followed
        gains = np.bincount(
            followed.decision,
            weights=followed.value,
            minlength=len(self.decided.action),
        )
        return np.asarray(gains - costs[self.decided.action], dtype=np.float64)

    def in_group(self, group: Group) -> NDArray[np.bool_]:
        """Say which decisions were about customers of a group; (N,)."""
        return np.asarray(self.decided.group == GROUPS.index(group))

    def per_customer(self, values: Floats) -> Floats:
        """Return the sum of a number of the decisions (N,) over each customer, (customers,)."""
        totals = np.bincount(self.decided.customer, weights=values, minlength=self.customers)
        return np.asarray(totals, dtype=np.float64)


def joined(parts: list[Decided]) -> Decided:
    """Put decisions together that were recorded batch by batch."""
    names = [field.name for field in fields(Decided)]
    return Decided(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
