"""What became of the contacts of a ledger: reserved, delivered, released or expired.

A contact without a row here was made when it was decided, and nobody has said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

from agents.context import Contact
from serving.ledger.database import Database, from_micros, to_micros
from serving.ledger.log import Log
from serving.ledger.past import UNSAY

DeliveryState = Literal["reserved", "delivered", "released", "expired"]

GIVEN_BACK = frozenset({"released", "expired"})
"""States of contacts that were not made after all."""


class Delivery(NamedTuple):
    """What became of a contact.

    Args:
        due: when a reservation expires (UTC); None for anything else.
        changed: position of the log's entry that says so, None for a reservation.
        late: when it was made (UTC) if that was later than planned, else None.
    """

    state: DeliveryState
    due: datetime | None
    changed: int | None
    late: datetime | None = None

    @property
    def given_back(self) -> bool:
        """Whether the contact was not made after all."""
        return self.state in GIVEN_BACK


class DeliveryReader:
    """Reads what became of contacts."""

    _db: Database

    def delivery(self, decision_id: str) -> Delivery | None:
        """Return what became of a decision's contact, None if nobody has said anything."""
        rows = self._db.rows(
            "SELECT state, due, changed FROM delivery WHERE decision_id = ?", (decision_id,)
        )
        return _delivery(*rows[0]) if rows else None

    def deliveries_within(self, first: int, last: int) -> dict[str, Delivery]:
        """Return, by decision, what became of the contacts of a stretch of the log.

        Args:
            first: the least position of the decisions.
            last: the greatest.
        """
        rows = self._db.rows(
            "SELECT decision_id, state, due, changed FROM delivery WHERE position BETWEEN ? AND ?",
            (first, last),
        )
        return {decision_id: _delivery(*rest) for decision_id, *rest in rows}

    def overdue(self, now: datetime, limit: int) -> list[str]:
        """Return the decisions whose reservations have ended by an instant, the oldest first."""
        rows = self._db.rows(
            "SELECT decision_id FROM delivery WHERE state = 'reserved' AND due <= ?"
            " ORDER BY due LIMIT ?",
            (to_micros(now), limit),
        )
        return [decision_id for (decision_id,) in rows]


class Deliveries(Log, DeliveryReader):
    """Says what became of contacts, inside a transaction."""

    def reserve(self, decision_id: str, position: int, due: datetime) -> None:
        """Note that a contact is only reserved, until an instant.

        Args:
            decision_id: of the decision.
            position: of the decision in the log.
            due: when the reservation expires (UTC).
        """
        self._db.run(
            "INSERT INTO delivery VALUES (?, 'reserved', ?, NULL, ?)",
            (decision_id, to_micros(due), position),
        )

    def settle(
        self,
        decision_id: str,
        decided: int,
        state: DeliveryState,
        body: Mapping[str, Any],
        *,
        customer: str,
        at: datetime,
        closes: datetime,
        late: Contact | None = None,
    ) -> int:
        """Append what became of a contact; return its position.

        A contact that was not made is forgotten, as if it had never been decided. One that is made
        later than it was planned is remembered as made now.

        Args:
            decision_id: of the decision.
            decided: the decision's position.
            state: what became of it.
            body: what the log's entry says besides.
            customer: whom it is about.
            at: when it was said, or found (UTC).
            closes: until when it is needed, whatever its age.
            late: the contact as it is made, at this instant; None if it is made as planned.
        """
        record = {"decision_id": decision_id, "state": state, "at": at.isoformat(), **body}
        position = self.append(
            "delivery", record, customer=customer, at=at, closes=max(closes, at), past=late
        )
        self._db.run(
            "INSERT INTO delivery VALUES (?, ?, ?, ?, ?) ON CONFLICT (decision_id)"
            " DO UPDATE SET state = excluded.state, due = excluded.due, changed = excluded.changed",
            (decision_id, state, None if late is None else to_micros(at), position, decided),
        )
        if state in GIVEN_BACK or late is not None:
            self._db.run(UNSAY + "position = ?)", (decided,))
        return position


def _delivery(state: DeliveryState, due: int | None, changed: int | None) -> Delivery:
    """Read a row, whose `due` is of what is delivered when it was made, if later than planned."""
    instant = None if due is None else from_micros(due)
    if state == "reserved":
        return Delivery(state, instant, changed)
    return Delivery(state, None, changed, instant)
