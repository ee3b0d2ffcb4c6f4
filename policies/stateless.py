"""What policies share that learn nothing: their state is their name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

from agents.context import Context
from agents.errors import SnapshotError
from agents.mask import Mask
from agents.revision import Revision
from policies.base import Distribution, Lesson
from policies.settings import read_settings


class Stateless(ABC):
    """A policy without state and, unless its class builds itself otherwise, without settings."""

    name: ClassVar[str]

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
        if state != cls._state():
            raise SnapshotError(f"expected the state of {cls.name}, got {len(state)} other bytes")
        return cls.create(revision)

    @abstractmethod
    def distribution(self, context: Context, mask: Mask) -> Distribution:
        """Return the probability of each action among the allowed; pure."""

    def update(self, lessons: Sequence[Lesson]) -> None:
        """Learn nothing."""
        del lessons

    def to_bytes(self) -> bytes:
        """Return its name."""
        return self._state()

    @classmethod
    def _state(cls) -> bytes:
        return b'{"policy":"%b"}' % cls.name.encode()
