"""Uniform: every allowed action alike. The baseline that every learner must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np

from agents.context import Context
from agents.errors import SnapshotError
from agents.mask import Mask
from agents.revision import Revision
from policies.base import Distribution, Lesson
from policies.settings import read_settings

_STATE = b'{"policy":"uniform"}'


class Uniform:
    """Gives each of the E allowed actions probability 1/E; learns nothing.

    Example:
        >>> from datetime import UTC, datetime
        >>> anyone = Context("ann", datetime(2026, 3, 2, tzinfo=UTC), {})
        >>> Uniform().distribution(anyone, Mask((None, "consent", None))).probabilities.tolist()
        [0.5, 0.0, 0.5]
    """

    name: ClassVar[str] = "uniform"

    @classmethod
    def create(cls, revision: Revision) -> Self:
        """Build it; it has no settings.

        Raises:
            UnknownNameError: the agent sets something.
        """
        read_settings(cls.name, {}, revision.agent.policy.settings)
        return cls()

    @classmethod
    def from_bytes(cls, state: bytes, revision: Revision) -> Self:
        """Rebuild it; there is no state but the name.

        Raises:
            SnapshotError: the bytes are of another policy.
        """
        if state != _STATE:
            raise SnapshotError(f"expected the state of {cls.name}, got {len(state)} other bytes")
        return cls.create(revision)

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        """Return 1/E for each allowed action; it has no expected rewards."""
        del context  # all customers alike
        probabilities = mask.allowed / np.count_nonzero(mask.allowed)  # (A,)
        return Distribution(probabilities, np.full(len(probabilities), np.nan))

    def update(self, lessons: Sequence[Lesson]) -> None:
        """Learn nothing."""

    def to_bytes(self) -> bytes:
        """Return its name."""
        return _STATE
