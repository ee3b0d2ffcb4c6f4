"""Erasing a customer: all that the ledger holds of one person goes, and a proof of it stays.

The proof is an entry of the log and a row of the audit chain. Both name the customer by a keyed
hash only, the one by which exported logs know customers, so that whoever ships logs finds there
which rows have to go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from agents.log import hash_customer
from serving.clock import Clock
from serving.ledger import Ledger

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # of a driven clock before anything has happened


@dataclass(frozen=True, slots=True)
class Erased:
    """The proof of an erasure.

    Args:
        customer: keyed hash of the id.
        at: when it was done (UTC).
        position: of its entry in the log.
        removed: rows by what they were; `log` is all entries.
        audit: hash of its row in the audit chain, hexadecimal.
    """

    customer: str
    at: datetime
    position: int
    removed: Mapping[str, int]
    audit: str


@dataclass(frozen=True, slots=True)
class Eraser:
    """Erases customers, with the ledger's transaction as its only state.

    What they used of the organisation's budgets stays counted; it says nothing of a person. So
    does a suppression, which is kept by hash: an objection goes on being honoured.

    Args:
        key: hashes customer ids, as in exported logs.
        clock: tells when it was done.
    """

    key: bytes
    clock: Clock

    def erase(self, ledger: Ledger, customer: str, actor: str) -> Erased:
        """Erase a customer, known or not; a second time nothing is left to remove.

        Args:
            ledger: inside a transaction.
            customer: the caller's id.
            actor: who asks for it, as the audit log writes it.

        Raises:
            StateError: the machine's clock is behind the ledger.
        """
        at = self.clock.reached(ledger.last_instant()) or _NEVER
        hashed = hash_customer(self.key, customer)
        removed = ledger.erase(customer)
        body = {"customer": hashed, "at": at.isoformat(), "removed": removed}
        position = ledger.append("erasure", body)
        audit = ledger.add_audit(at, actor, "customer.erase", {**body, "position": position})
        return Erased(hashed, at, position, removed, audit.hex())
