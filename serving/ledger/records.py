"""What is read from a ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, Self

from agents.actions import Action
from agents.context import Contact
from agents.decisions import Decision, OutcomeEvent, contact_of
from agents.units import parse_instant

EntryKind = Literal[
    "revision", "decision", "outcome", "correction", "delivery", "contact", "suppression", "erasure"
]


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the log.

    Args:
        position: order of commit, from 1; gaps only where something was pruned or erased.
        body: the record as plain JSON values; empty if what is stored is no such record.
    """

    position: int
    kind: EntryKind
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision as committed, and the fingerprint of the request that asked for it.

    Args:
        arbitration: which agents bid for the customer and how it was settled, None if only one
            agent was asked.
        shadow: what the agent's shadow would have decided, None if it had none.
    """

    position: int
    request: bytes
    decision: Decision
    arbitration: Mapping[str, Any] | None = None
    shadow: Mapping[str, Any] | None = None


class Made(NamedTuple):
    """What came of a decision: as much of it as its outcomes ask, read without the rest.

    Args:
        action: position of the drawn action.
        send_at: when the contact reaches the customer (UTC), None for `none`.
        actions: ids of the actions that were offered, empty if they are those of the revision.
    """

    decision_id: str
    at: datetime
    agent: str
    revision: str
    customer: str
    action: int
    send_at: datetime | None
    actions: tuple[str, ...] = ()

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read it from the record of a decision, as stored."""
        sent = record["send_at"]
        return cls(
            record["decision_id"], parse_instant(record["at"]), record["agent"],
            record["revision"], record["customer"], record["action"],
            None if sent is None else parse_instant(sent), tuple(record.get("actions", ())),
        )  # fmt: skip

    def contact(self, action: Action) -> Contact | None:
        """Return the contact that the decision makes, None for `none`."""
        return contact_of(self.decision_id, self.agent, action, self.send_at)


@dataclass(frozen=True, slots=True)
class StoredOutcome:
    """An outcome as committed, and the fingerprint of its request.

    Args:
        counted: names of the agent's outcomes that counted once more because of it.
    """

    request: bytes
    counted: tuple[str, ...]
    event: OutcomeEvent
