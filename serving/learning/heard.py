"""What the entries of the log say, as far as learners listen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from agents.errors import LogError
from serving.ledger import Entry

Body = Mapping[str, Any]
"""A decision as it is stored, which `LedgerReader.whole` completes."""


class Lost(NamedTuple):
    """An outcome that was taken back: when it was said to have happened, how many still count."""

    outcome: str
    at: datetime
    remaining: int


@dataclass(slots=True)
class Told:
    """The decision that an entry of the log is about, read when somebody asks for it.

    Args:
        position: of the decision.
        read: returns a decision by its position, None if it is gone.
        known: the decision, if it was read already.
        agent: whose, if that is known without reading it.
    """

    position: int
    read: Callable[[int], Body | None]
    known: Body | None = None
    agent: str = ""

    @property
    def body(self) -> Body:
        """The decision.

        Raises:
            LogError: it is gone.
        """
        if self.known is None:
            self.known = self.read(self.position)
        if self.known is None:
            raise LogError(f"the decision at {self.position} is gone")
        return self.known

    def by(self, agent: str) -> bool:
        """Say whether an agent made it.

        Raises:
            LogError: it is gone.
        """
        return bool(agent == (self.agent or self.body["agent"]))


class Heard(NamedTuple):
    """An entry of the log that may teach something, whichever agent's.

    Args:
        position: of the entry.
        at: its instant.
        told: the decision that was made, or that something followed; None if that is no matter.
        outcomes: the outcomes that count once more; None for a decision.
        lost: the outcomes that count once less.
        withdrawn: of a contact that was not made after all, by outcome how many counted until
            now, and when the first heard of them happened; None if it was made.
        entry: as it was read.
        decision: the position of the decision that it is, or that it is about, whether that
            matters to a rate or not; None if there is none.
    """

    position: int
    at: datetime
    told: Told | None
    outcomes: tuple[str, ...] | None = None
    lost: tuple[Lost, ...] = ()
    withdrawn: Mapping[str, tuple[int, datetime]] | None = None
    entry: Entry | None = None
    decision: int | None = None
