"""What a ledger holds about one customer: read in order, or removed for good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from serving.ledger.log import Log, LogReader
from serving.ledger.records import EntryKind

_INDEXES = (
    "decision", "contact", "event", "outcome", "correction", "delivery", "elsewhere",
)  # fmt: skip
"""Tables of what is indexed of the log, by position."""

PERSONAL = ("log", *_INDEXES)
"""Every table that holds rows about customers."""


class Mention(NamedTuple):
    """One row of the log that is about a customer."""

    position: int
    kind: EntryKind
    body: Mapping[str, Any]


class PersonReader(LogReader):
    """Reads what is known of a customer."""

    def mentions(self, customer: str, before: int | None, limit: int) -> list[Mention]:
        """Return what the log has about a customer, newest first.

        Args:
            customer: the caller's id.
            before: only rows of a lower position; None for all.
            limit: how many at most.
        """
        where = "customer = ?" if before is None else "customer = ? AND position < ?"
        values = (customer,) if before is None else (customer, before)
        rows = self._db.rows(
            f"SELECT position, kind, body FROM log WHERE {where}"  # noqa: S608 - constants
            " ORDER BY position DESC LIMIT ?",
            (*values, limit),
        )
        return [Mention(position, kind, self._read(kind, body)) for position, kind, body in rows]


class Persons(Log, PersonReader):
    """Removes what is known of a customer, inside a transaction."""

    def erase(self, customer: str) -> dict[str, int]:
        """Remove every row about a customer; return how many there were, by table.

        Append an entry in the same transaction that tells of it: the log's newest row must stay,
        or its position would be given twice.
        """
        about = "position IN (SELECT position FROM log WHERE customer = ?)"
        removed = {table: self._remove(table, about, customer) for table in _INDEXES}
        return {"log": self._remove("log", "customer = ?", customer), **removed}

    def _remove(self, table: str, where: str, customer: str) -> int:
        sql = f"DELETE FROM {table} WHERE {where} RETURNING position"  # noqa: S608 - constants
        return len(self._db.rows(sql, (customer,)))
