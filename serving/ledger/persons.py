"""What a ledger holds about one customer: read in order, or removed for good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from serving.ledger.log import LAST, Log, LogReader
from serving.ledger.records import EntryKind

_BESIDE = ("correction", "delivery", "elsewhere")
"""Tables of what is said of an entry of the log beside it, by position."""

PERSONAL = ("log", "past", *_BESIDE)
"""Every table that holds rows about customers."""


_ABOUT = "WHERE position IN (SELECT position FROM past WHERE customer = ?)"
_ERASE = f"DELETE FROM log {_ABOUT} RETURNING kind"  # noqa: S608 - constants


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
        rows = self._db.rows(
            "SELECT position, kind, record FROM log WHERE position IN"
            " (SELECT position FROM past WHERE customer = ? AND position < ?)"
            " ORDER BY position DESC LIMIT ?",
            (customer, LAST if before is None else before, limit),
        )
        return [Mention(position, kind, self._read(kind, body)) for position, kind, body in rows]


class Persons(Log, PersonReader):
    """Removes what is known of a customer, inside a transaction."""

    def erase(self, customer: str) -> dict[str, int]:
        """Remove every row about a customer; return how many there were, by what they are.

        Append an entry in the same transaction that tells of it: the log's newest row must stay,
        or its position would be given twice.
        """
        said = {table: self._remove(table, customer) for table in _BESIDE}
        entries = self._db.rows(_ERASE, (customer,))
        kinds = Counter(kind for (kind,) in entries)
        past = self._db.rows("DELETE FROM past WHERE customer = ? RETURNING event", (customer,))
        contacts = past.count(("",))
        events = len(past) - contacts - past.count((None,))
        return {
            "log": len(entries), "decision": kinds["decision"], "contact": contacts,
            "event": events, "outcome": kinds["outcome"], **said,
        }  # fmt: skip

    def _remove(self, table: str, customer: str) -> int:
        sql = f"DELETE FROM {table} {_ABOUT} RETURNING position"  # noqa: S608 - constants
        return len(self._db.rows(sql, (customer,)))
