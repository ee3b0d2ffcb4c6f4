"""What a ledger remembers of customers and budgets: contacts, events, usage."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from agents.context import Contact, PastEvent
from agents.counters import Charge, Reading
from serving.ledger.database import Database, Row, from_micros, to_micros

_NAMES = "agent, offer, kind, channel, action, includes FROM past WHERE event"
CONTACTS = f"SELECT at, decision_id, {_NAMES} = ''"
EVENTS = f"SELECT at, event, decision_id, {_NAMES} > ''"
BOTH = (
    f"SELECT at, event, decision_id, {_NAMES} >= ''"
    " AND customer = ? AND at > ? ORDER BY at, position"
)
ADD_PAST = "INSERT INTO past VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
UNSAY = (  # what a contact or an event was; the entry stays
    "UPDATE past SET event = NULL WHERE (customer, at, position) ="
    " (SELECT customer, at, position FROM log WHERE "
)

_NEITHER = (None,) * 8


class PastReader:
    """Reads what guardrails and learners ask about the past."""

    _db: Database

    def past(
        self,
        customer: str,
        sent: datetime,
        words: Collection[str],
        heard: datetime,
        until: datetime,
    ) -> tuple[tuple[Contact, ...], tuple[PastEvent, ...]]:
        """Return `contacts` and `events` of a customer, read at once.

        Args:
            customer: the caller's id.
            sent: contacts are later.
            words: of the events.
            heard: events are later.
            until: events are no later.
        """
        first, low, high = to_micros(sent), to_micros(heard), to_micros(until)
        rows = self._db.rows(BOTH, (customer, min(first, low)))
        if not rows:
            return (), ()
        contacts = [to_contact(row[0], *row[2:]) for row in rows if not row[1] and row[0] > first]
        events = [to_event(*row) for row in rows if row[1] in words and low < row[0] <= high]
        return tuple(contacts), tuple(events)

    def contacts(self, customer: str, after: datetime) -> tuple[Contact, ...]:
        """Return a customer's contacts sent later than an instant, oldest first."""
        where = " AND customer = ? AND at > ? ORDER BY at, position"
        rows = self._db.rows(CONTACTS + where, (customer, to_micros(after)))
        return tuple(to_contact(*row) for row in rows)

    def sent(self, agent: str, after: int) -> list[Contact]:
        """Return an agent's contacts committed later than a position, in order of commit."""
        where = " AND agent = ? AND position > ? ORDER BY position"
        return [to_contact(*row) for row in self._db.rows(CONTACTS + where, (agent, after))]

    def heard(self, agent: str, words: Iterable[str], after: int) -> list[PastEvent]:
        """Return events of some words that followed an agent's contacts, later than a position."""
        wanted = frozenset(words)
        where = " AND agent = ? AND position > ? ORDER BY position"
        rows = self._db.rows(EVENTS + where, (agent, after))
        return [to_event(*row) for row in rows if row[1] in wanted]

    def events(
        self, customer: str, words: Iterable[str], after: datetime, until: datetime
    ) -> tuple[PastEvent, ...]:
        """Return a customer's events of some words, later than `after`, oldest first."""
        wanted = frozenset(words)
        if not wanted:
            return ()
        where = " AND customer = ? AND at > ? AND at <= ? ORDER BY at, position"
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

    def charge(self, charges: Iterable[Charge]) -> None:
        """Add to the organisation's counters."""
        for charge in charges:
            self._db.run(
                "INSERT INTO usage VALUES (?, ?, ?) ON CONFLICT (counter, bucket)"
                " DO UPDATE SET amount = usage.amount + excluded.amount",
                tuple(charge),
            )


def past_row(customer: str, at: int, position: int, past: Contact | PastEvent | None) -> Row:
    """Return what is remembered of an entry of the log as the table holds it.

    Args:
        customer: whom it is about.
        at: as in the log, in microseconds since 1970.
        position: in the log.
        past: a contact or an event; None for an entry that is neither.
    """
    if past is None:
        return (customer, at, position, *_NEITHER)
    word = "" if isinstance(past, Contact) else past.event
    return (
        customer, at, position, word, past.decision_id, past.agent, past.offer, past.kind,
        past.channel, past.action, " ".join(past.includes),
    )  # fmt: skip


def to_contact(at: int, decision_id: str, *names: str) -> Contact:
    """Return the contact of a row of `CONTACTS`."""
    agent, offer, kind, channel, action, includes = names
    return Contact(
        from_micros(at), agent, offer, kind, channel, action, tuple(includes.split()), decision_id
    )


def to_event(at: int, event: str, *names: str) -> PastEvent:
    """Return the event of a row of `EVENTS`."""
    decision_id, agent, offer, kind, channel, action, includes = names
    return PastEvent(
        from_micros(at), event, decision_id, agent, offer, kind, channel, action,
        tuple(includes.split()),
    )  # fmt: skip
