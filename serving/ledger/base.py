"""What a ledger promises, whatever database is behind it.

One append-only log gives every decision, outcome and activation its position; everything else is
an index of it. Writes happen inside a transaction and are durable when it ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from agents.context import Contact
from agents.decisions import Decision, OutcomeEvent

EntryKind = Literal["revision", "decision", "outcome"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the log.

    Args:
        position: order of commit, from 1, without gaps.
        body: the record as plain JSON values; empty if what is stored is no such record.
    """

    position: int
    kind: EntryKind
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision as committed, and the fingerprint of the request that asked for it."""

    position: int
    request: bytes
    decision: Decision


@dataclass(frozen=True, slots=True)
class StoredOutcome:
    """An outcome as committed, whether it counted, and the fingerprint of its request."""

    request: bytes
    counted: bool
    event: OutcomeEvent


class LedgerReader(Protocol):
    """Reading the ledger; safe beside a writer in another process.

    Every method raises StateError if the database cannot answer now.
    """

    def entries(self, after: int, limit: int) -> list[Entry]:
        """Return up to `limit` rows of the log with a position above `after`, in order."""

    def still(self) -> AbstractContextManager[None]:
        """Read everything inside as it stands at the first reading; outside of a transaction."""

    def last_position(self) -> int:
        """Return the position of the newest row of the log, 0 if there is none."""

    def last_instant(self) -> datetime | None:
        """Return the instant of the newest decision or outcome."""

    def find_decision(self, decision_id: str) -> StoredDecision | None:
        """Return a decision by its id."""

    def find_events(self, decision_id: str) -> list[OutcomeEvent]:
        """Return all outcomes received for a decision, in order of commit."""

    def find_revision(self, revision_id: str) -> bytes | None:
        """Return the source of a revision."""

    def active(self) -> dict[str, str]:
        """Return the id of the active revision of each agent."""

    def close(self) -> None:
        """Release the database."""


class Ledger(LedgerReader, Protocol):
    """Reading and writing; there is one writer."""

    def begin(self) -> None:
        """Open a transaction."""

    def commit(self) -> None:
        """Make the transaction durable; returns when it is on disk. May run in another thread."""

    def rollback(self) -> None:
        """Undo the transaction, if one is open."""

    def savepoint(self) -> AbstractContextManager[None]:
        """Inside a transaction: undo what is inside if it raises, and nothing else."""

    def find_by_key(self, key: str) -> StoredDecision | None:
        """Return the decision made under an idempotency key."""

    def find_outcome(self, outcome_id: str) -> StoredOutcome | None:
        """Return an outcome by its id."""

    def contacts(self, customer: str, after: datetime) -> tuple[Contact, ...]:
        """Return a customer's contacts sent later than an instant, oldest first."""

    def active_revision(self, agent: str) -> str | None:
        """Return the id of an agent's active revision."""

    def find_yaml(self, revision_id: str) -> str | None:
        """Return the YAML that a revision was submitted as."""

    def add_decision(
        self, decision: Decision, contact: Contact | None, *, key: str | None, request: bytes
    ) -> int:
        """Append a decision and its contact; return its position."""

    def add_outcome(self, event: OutcomeEvent, *, counted: bool, request: bytes) -> int:
        """Append an outcome; return its position."""

    def activate(self, agent: str, revision_id: str, *, yaml: str, source: bytes) -> int:
        """Store a revision and make it the agent's active one; return the log's position."""

    def note(self, name: str, value: str | None = None) -> str | None:
        """Return a named note of the server to itself; with a value, set it first."""
