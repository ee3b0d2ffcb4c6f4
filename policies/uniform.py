"""Uniform: every allowed action alike. The baseline that every learner must beat."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from agents.context import Context
from agents.mask import Mask
from policies.base import Distribution
from policies.stateless import Stateless


class Uniform(Stateless):
    """Gives each of the E allowed actions probability 1/E; learns nothing.

    Example:
        >>> from datetime import UTC, datetime
        >>> anyone = Context("ann", datetime(2026, 3, 2, tzinfo=UTC), {})
        >>> Uniform().distribution(anyone, Mask((None, "consent", None))).probabilities.tolist()
        [0.5, 0.0, 0.5]
    """

    name: ClassVar[str] = "uniform"

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        """Return 1/E for each allowed action; it has no expected rewards."""
        del context  # all customers alike
        probabilities = mask.allowed / np.count_nonzero(mask.allowed)  # (A,)
        return Distribution(probabilities, np.full(len(probabilities), np.nan))
