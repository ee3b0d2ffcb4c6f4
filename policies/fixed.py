"""Fixed: a declared order; the first action in it that is allowed. The simplest incumbent."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from agents.context import Context
from agents.mask import Mask
from agents.revision import Revision
from policies.base import Distribution
from policies.settings import read_order, read_settings
from policies.stateless import Stateless


class Fixed(Stateless):
    """Gives the first allowed action of an order probability 1; learns nothing.

    Settings: `order`, a list of offers or action ids; an offer stands for its actions as they are
    written. Without it all offers stand in the order in which they are written. `none` comes
    behind all that is listed, unless it is listed itself; what is not listed is chosen only where
    `none` is barred and nothing listed is allowed.

    Args:
        order: (A,) positions of all actions, the first choice first.

    Example:
        >>> from datetime import UTC, datetime
        >>> anyone = Context("ann", datetime(2026, 3, 2, tzinfo=UTC), {})
        >>> policy = Fixed(np.array([2, 1, 0]))
        >>> policy.distribution(anyone, Mask((None, None, "consent"))).probabilities.tolist()
        [0.0, 1.0, 0.0]
    """

    name: ClassVar[str] = "fixed"

    def __init__(self, order: NDArray[np.intp]) -> None:
        self._order = order

    @classmethod
    def create(cls, revision: Revision) -> Self:
        """Build it.

        Raises:
            UnknownNameError: another setting than `order`, or a word in it that is neither an
                offer nor an action.
            ValueError: `order` is no list, or holds a word twice.
        """
        read_settings(cls.name, {}, revision.agent.policy.settings, ("order",))
        every = range(len(revision.actions))
        listed = read_order(revision, "order") or list(every[1:])
        return cls(np.array(list(dict.fromkeys([*listed, *every])), dtype=np.intp))

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        """Return 1 for the first allowed action; it has no expected rewards."""
        del context  # all customers alike
        probabilities = np.zeros(len(self._order))  # (A,)
        probabilities[self._order[mask.allowed[self._order].argmax()]] = 1.0
        return Distribution(probabilities, np.full(len(probabilities), np.nan))
