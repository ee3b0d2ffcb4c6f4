"""What a ledger promises, whatever database is behind it.

One log gives every decision, outcome and activation its position; everything else is an index of
it. It is only appended to, but for what has become older than the workspace keeps. Writes happen
inside a transaction and are durable when it ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from agents.context import Contact, PastEvent
from agents.counters import Charge, Reading
from agents.decisions import Decision, OutcomeEvent

EntryKind = Literal["revision", "decision", "outcome"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the log.

    Args:
        position: order of commit, from 1; gaps only where something was pruned.
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
    """

    position: int
    request: bytes
    decision: Decision
    arbitration: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class StoredOutcome:
    """An outcome as committed, and the fingerprint of its request.

    Args:
        counted: names of the agent's outcomes that counted once more because of it.
    """

    request: bytes
    counted: tuple[str, ...]
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

    def contacts(self, customer: str, after: datetime) -> tuple[Contact, ...]:
        """Return a customer's contacts sent later than an instant, oldest first."""

    def events(
        self, customer: str, words: Iterable[str], after: datetime, until: datetime
    ) -> tuple[PastEvent, ...]:
        """Return a customer's events of some words, later than `after`, oldest first."""

    def sent(self, agent: str, after: int) -> list[Contact]:
        """Return an agent's contacts committed later than a position, in order of commit."""

    def heard(self, agent: str, words: Iterable[str], after: int) -> list[PastEvent]:
        """Return events of some words that followed an agent's contacts, later than a position."""

    def used(self, reading: Reading) -> float:
        """Return the sum of a counter's buckets, first and last inclusive."""

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

    def active_revision(self, agent: str) -> str | None:
        """Return the id of an agent's active revision."""

    def find_yaml(self, revision_id: str) -> str | None:
        """Return the YAML that a revision was submitted as."""

    def add_decision(
        self,
        decision: Decision,
        contact: Contact | None,
        *,
        key: str | None,
        request: bytes,
        closes: datetime,
        arbitration: Mapping[str, Any] | None = None,
    ) -> int:
        """Append a decision and its contact; return its position.

        Args:
            decision: what was decided.
            contact: what it sends, None for `none`.
            key: the caller's idempotency key.
            request: the fingerprint of the request.
            arbitration: how it was settled which agent decides, if several were asked.
            closes: when its last outcome window ends, before which it is never pruned.
        """

    def add_outcome(
        self,
        event: OutcomeEvent,
        past: PastEvent,
        *,
        counted: Iterable[str],
        request: bytes,
        closes: datetime,
    ) -> int:
        """Append an outcome, and what later decisions remember of it; return its position.

        Args:
            event: what happened, as it was reported.
            past: the same as later decisions remember it.
            counted: names of the outcomes that count once more because of it.
            request: the fingerprint of the report.
            closes: when the last outcome window of its decision ends; its own instant if it
                followed none.
        """

    def charge(self, charges: Iterable[Charge]) -> None:
        """Add to the organisation's counters."""

    def prune(self, before: datetime, now: datetime, *, until: int, limit: int) -> int:
        """Remove the oldest decisions and outcomes with all that was indexed of them.

        The newest row of the log stays, so positions are never given twice and the ledger's
        clock goes on; revisions stay, too.

        Args:
            before: what is younger stays.
            now: what is of a decision whose outcome windows are still open stays.
            until: what has a later position stays.
            limit: most rows to remove at once.

        Returns:
            How many were removed; less than `limit` if none are left.
        """

    def prune_usage(self, first: Mapping[str, int]) -> int:
        """Remove what lies before the first bucket of each counter; return how much it was."""

    def activate(self, agent: str, revision_id: str, *, yaml: str, source: bytes) -> int:
        """Store a revision and make it the agent's active one; return the log's position."""

    def note(self, name: str, value: str | None = None) -> str | None:
        """Return a named note of the server to itself; with a value, set it first."""
