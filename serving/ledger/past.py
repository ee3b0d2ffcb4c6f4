"""What a ledger remembers of customers and budgets: contacts, events, usage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from agents.context import Contact, PastEvent
from agents.counters import Charge, Reading
from serving.ledger.database import Database, Row, from_micros, to_micros

CONTACTS = "SELECT at, agent, offer, kind, channel, action, includes, decision_id FROM contact"
ADD_CONTACT = "INSERT INTO contact VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
EVENTS = "SELECT at, event, decision_id, agent, offer, kind, channel, action, includes FROM event"


class PastReader:
    """Reads what guardrails and learners ask about the past."""

    _db: Database

    def contacts(self, customer: str, after: datetime) -> tuple[Contact, ...]:
        """Return a customer's contacts sent later than an instant, oldest first."""
        where = " WHERE customer = ? AND at > ? ORDER BY at, position"
        rows = self._db.rows(CONTACTS + where, (customer, to_micros(after)))
        return tuple(to_contact(*row) for row in rows)

    def sent(self, agent: str, after: int) -> list[Contact]:
        """Return an agent's contacts committed later than a position, in order of commit."""
        where = " WHERE agent = ? AND position > ? ORDER BY position"
        return [to_contact(*row) for row in self._db.rows(CONTACTS + where, (agent, after))]

    def heard(self, agent: str, words: Iterable[str], after: int) -> list[PastEvent]:
        """Return events of some words that followed an agent's contacts, later than a position."""
        wanted = frozenset(words)
        where = " WHERE agent = ? AND position > ? ORDER BY position"
        rows = self._db.rows(EVENTS + where, (agent, after))
        return [to_event(*row) for row in rows if row[1] in wanted]

    def events(
        self, customer: str, words: Iterable[str], after: datetime, until: datetime
    ) -> tuple[PastEvent, ...]:
        """Return a customer's events of some words, later than `after`, oldest first."""
        wanted = frozenset(words)
        if not wanted:
            return ()
        where = " WHERE customer = ? AND at > ? AND at <= ? ORDER BY at, position"
        values = (customer, to_micros(after), to_micros(until))
        rows = self._db.rows(EVENTS + where, values)
        return tuple(to_event(*row) for row in rows if row[1] in wanted)

    def used(self, reading: Reading) -> float:
        """Return the sum of a counter's buckets, first and last inclusive."""
        sql = (
            "SELECT coalesce(sum(amount), 0.0) FROM usage"
            " WHERE counter = ? AND bucket BETWEEN ? AND ?"
        )
        return float(sum(amount for (amount,) in self._db.rows(sql, tuple(reading))))


class Past(PastReader):
    """Adds to what is remembered."""

    def add_contact(self, customer: str, contact: Contact, position: int) -> None:
        """Remember a contact, which stands in the log at a position."""
        self._db.run(ADD_CONTACT, contact_row(customer, contact, position))

    def add_event(self, customer: str, past: PastEvent, position: int) -> None:
        """Remember an event, which stands in the log at a position."""
        self._db.run(
            "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                customer, to_micros(past.at), position, past.event, past.decision_id, past.agent,
                past.offer, past.kind, past.channel, past.action, " ".join(past.includes),
            ),
        )  # fmt: skip

    def charge(self, charges: Iterable[Charge]) -> None:
        """Add to the organisation's counters."""
        for charge in charges:
            self._db.run(
                "INSERT INTO usage VALUES (?, ?, ?) ON CONFLICT (counter, bucket)"
                " DO UPDATE SET amount = usage.amount + excluded.amount",
                tuple(charge),
            )

    def prune_usage(self, first: Mapping[str, int]) -> int:
        """Remove what lies before the first bucket of each counter; return how much it was."""
        sql = "DELETE FROM usage WHERE counter = ? AND bucket < ? RETURNING bucket"
        return sum(len(self._db.rows(sql, counter)) for counter in first.items())


def contact_row(customer: str, contact: Contact, position: int) -> Row:
    """Return a contact as the table holds it."""
    return (
        customer, to_micros(contact.at), position, contact.decision_id, contact.agent,
        contact.offer, contact.kind, contact.channel, contact.action, " ".join(contact.includes),
    )  # fmt: skip


def to_contact(at: int, *names: str) -> Contact:
    """Return the contact of a row of `CONTACTS`."""
    agent, offer, kind, channel, action, includes, made_by = names
    return Contact(
        from_micros(at), agent, offer, kind, channel, action, tuple(includes.split()), made_by
    )


def to_event(at: int, event: str, *names: str) -> PastEvent:
    """Return the event of a row of `EVENTS`."""
    decision_id, agent, offer, kind, channel, action, includes = names
    return PastEvent(
        from_micros(at), event, decision_id, agent, offer, kind, channel, action,
        tuple(includes.split()),
    )  # fmt: skip
