"""First: what the caller would show by itself. The usual incumbent of a loop."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from agents.context import Context
from agents.mask import Mask
from policies.base import Distribution
from policies.stateless import Stateless


def first_of(context: Context, mask: Mask) -> int:
    """Return the position of the request's baseline, or of the first action that is allowed.

    Args:
        context: its supplied actions, if any, say which is the baseline.
        mask: A reasons; where only `none` is allowed, it is 0.
    """
    supplied = context.supplied
    if supplied is not None:
        baseline = 1 + supplied.ids.index(supplied.baseline)
        if mask.reasons[baseline] is None:
            return baseline
    allowed = mask.indices.tolist()
    return int(allowed[1] if allowed[0] == 0 and len(allowed) > 1 else allowed[0])


class First(Stateless):
    """Gives the baseline of a request probability 1, or else the first allowed; learns nothing.

    Where the request says no baseline it is its first action. For an agent that declares its
    offers, it is the first in the order in which they are written. `none` is chosen where nothing
    else is allowed.

    Example:
        >>> from datetime import UTC, datetime
        >>> anyone = Context("ann", datetime(2026, 3, 2, tzinfo=UTC), {})
        >>> First().distribution(anyone, Mask((None, "consent", None))).probabilities.tolist()
        [0.0, 0.0, 1.0]
    """

    name: ClassVar[str] = "first"

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        """Return 1 for the baseline, or for the first allowed; it has no expected rewards."""
        probabilities = np.zeros(len(mask.reasons))  # (A,)
        probabilities[first_of(context, mask)] = 1.0
        return Distribution(probabilities, np.full(len(probabilities), np.nan))
