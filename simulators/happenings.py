"""What a market reports, and when it reaches the company."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from agents.decisions import OutcomeEvent


class Happening(NamedTuple):
    """Something that the world reports.

    Args:
        outcome: the word it is reported by.
        at: when it arrives (UTC).
        properties: amounts that come with it; typical ones unless the world says otherwise.
    """

    outcome: str
    at: datetime
    properties: Mapping[str, float] = MappingProxyType({})

    def event(self, decision_id: str) -> OutcomeEvent:
        """Return the report of it, as a server is told; each decision hears a word once."""
        name = f"{decision_id}-{self.outcome}"
        return OutcomeEvent(name, decision_id, self.outcome, self.at, dict(self.properties))


class Reported(NamedTuple):
    """A report that reaches the company.

    Args:
        at: when it does (UTC); no earlier than it happened.
        happening: what it says; the same id whenever it is sent again.
    """

    at: datetime
    happening: Happening
