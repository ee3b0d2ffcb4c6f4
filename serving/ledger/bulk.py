"""Many customers at once: what decisions ask of the past, and what they write, in few statements.

What is read and written is, row by row, what the other topics read and write for one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import NamedTuple

from agents.context import Contact, PastEvent
from agents.keyed import keyed
from serving.ledger.database import Row, from_micros, to_micros
from serving.ledger.log import ADD_ENTRY, Log
from serving.ledger.past import ADD_PAST, CONTACTS, EVENTS, past_row, to_event
from serving.ledger.suppressions import SuppressionReader

_POSITIONS = (  # for a list after IN, or a join, a database may read all decisions
    "SELECT asked.column1, (SELECT position FROM log WHERE kind = 'decision'"
    " AND id = asked.column1) FROM (VALUES {}) AS asked"
)
_HASH = 16  # bytes of a customer's hash, as `agents.log.hash_customer` has it


class NewDecision(NamedTuple):
    """A decision that is to be appended.

    Args:
        key: the caller's idempotency key, None if it gave none.
        request: the fingerprint of the request.
        body: the record as JSON.
        at: when it was decided.
        closes: when its last outcome window ends, before which it is never pruned.
        contact: what it sends, None for `none`.
    """

    decision_id: str
    customer: str
    key: str | None
    request: bytes
    body: bytes
    at: datetime
    closes: datetime
    contact: Contact | None


class BulkReader(SuppressionReader):
    """Reads what is known of many customers."""

    def contacts_of(
        self, customers: Sequence[str], after: datetime
    ) -> Mapping[str, Sequence[Contact]]:
        """Return contacts sent later than an instant by customer, oldest first; none: no entry."""
        where = f" AND customer IN {_places(customers)} AND at > ? ORDER BY at, position"
        found: defaultdict[str, list[Contact]] = defaultdict(list)
        rows = self._db.rows(
            _with_customer(CONTACTS) + where, (*_padded(customers), to_micros(after))
        )
        instant = cache(from_micros)  # many were sent at one instant
        for customer, at, name, agent, offer, kind, channel, action, includes in rows:
            sent = tuple(includes.split())
            contact = Contact(instant(at), agent, offer, kind, channel, action, sent, name)
            found[customer].append(contact)
        return found

    def events_of(
        self, customers: Sequence[str], words: Iterable[str], after: datetime, until: datetime
    ) -> Mapping[str, Sequence[PastEvent]]:
        """Return events of some words by customer, later than `after`, oldest first."""
        found: defaultdict[str, list[PastEvent]] = defaultdict(list)
        wanted = frozenset(words)
        if not wanted:
            return found
        places = _places(customers)
        where = f" AND customer IN {places} AND at > ? AND at <= ? ORDER BY at, position"
        values = (*_padded(customers), to_micros(after), to_micros(until))
        for customer, *row in self._db.rows(_with_customer(EVENTS) + where, values):
            if row[1] in wanted:
                found[customer].append(to_event(*row))
        return found

    def suppressed_of(
        self, customers: Sequence[str], at: datetime
    ) -> Mapping[str, tuple[str, ...]]:
        """Return by customer the channels on which they are not to be contacted; none: no entry."""
        if not self._db.rows("SELECT 1 FROM suppression LIMIT 1"):
            return {}
        mac = keyed(self.customer_key)
        hashes = {mac(customer.encode())[:_HASH].hex(): customer for customer in customers}
        where = f" WHERE customer IN {_places(customers)} AND (until IS NULL OR until > ?)"
        named: defaultdict[str, list[str]] = defaultdict(list)
        for hashed, channel in self._db.rows(
            f"SELECT customer, channel FROM suppression{where}",  # noqa: S608 - places only
            (*_padded(tuple(hashes)), to_micros(at)),
        ):
            named[hashes[hashed]].append(channel)
        return {customer: tuple(sorted(channels)) for customer, channels in named.items()}

    def known_keys(self, keys: Sequence[str]) -> frozenset[str]:
        """Return those of some idempotency keys under which a decision was made."""
        if not keys:
            return frozenset()
        sql = f"SELECT key FROM log WHERE key IN {_places(keys)}"  # noqa: S608 - places only
        return frozenset(key for (key,) in self._db.rows(sql, _padded(keys)))

    def positions_of(self, decision_ids: Sequence[str]) -> dict[str, int]:
        """Return the positions of decisions by their ids; of one that is not there: none."""
        if not decision_ids:
            return {}
        sql = _POSITIONS.format(", ".join(["(?)"] * _size(decision_ids)))
        rows = self._db.rows(sql, _padded(decision_ids))
        return {name: position for name, position in rows if position is not None}


class Bulk(Log, BulkReader):
    """Appends many decisions, inside a transaction."""

    def add_decisions(self, made: Sequence[NewDecision]) -> None:
        """Append decisions and their contacts, in order."""
        entries: list[Row] = []
        past: list[Row] = []
        for position, new in enumerate(made, self._position + 1):
            aged_from = new.at if new.contact is None else new.contact.at
            at, closes = to_micros(aged_from), to_micros(new.closes)
            named = new.decision_id, new.key, None, new.request
            entries.append((position, "decision", at, closes, new.customer, *named, new.body))
            past.append(past_row(new.customer, at, position, new.contact))
        self._position += len(made)
        self._db.run_many(ADD_ENTRY, entries)
        self._db.run_many(ADD_PAST, past)


def _with_customer(sql: str) -> str:
    return sql.replace("SELECT ", "SELECT customer, ", 1)


def _size(values: Sequence[str]) -> int:
    """Round up to a power of 2, so that there are few different statements to prepare."""
    return 1 << max(len(values) - 1, 0).bit_length()


def _places(values: Sequence[str]) -> str:
    return f"({', '.join('?' * _size(values))})"


def _padded(values: Sequence[str]) -> tuple[str, ...]:
    """Repeat the last value until all places are taken."""
    return (*values, *[values[-1]] * (_size(values) - len(values)))
