"""What a ledger holds of one agent: from when to when, and removed for good."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import NamedTuple

from agents.units import parse_instant
from serving.ledger.database import from_micros
from serving.ledger.log import LAST, Log, LogReader, read_body

_PAGE = 200

_FIRST = (
    "SELECT position, id, at, record FROM log WHERE kind = 'decision' AND position > ?"
    " AND position <= ? ORDER BY position LIMIT ?"
)
_LAST = (
    "SELECT position, id, at, record FROM log WHERE kind = 'decision' AND position < ?"
    " ORDER BY position DESC LIMIT ?"
)
_REMOVE = (  # a decision, and all entries that speak of it
    "DELETE FROM log WHERE position IN ("
    " SELECT position FROM log WHERE kind = 'decision' AND id = ?"
    " UNION ALL SELECT position FROM log WHERE decision_id = ?"
    " UNION ALL SELECT position FROM correction WHERE decision_id = ?"
    " UNION ALL SELECT changed FROM delivery WHERE decision_id = ? AND changed IS NOT NULL"
    ") RETURNING kind, customer, at, position"
)
_FORGET = "DELETE FROM past WHERE customer = ? AND at = ? AND position = ?"


class Removed(NamedTuple):
    """What one batch has removed.

    Args:
        after: the position up to which was looked; None if there is nothing more to look at.
        kinds: entries of the log by what they were.
    """

    after: int | None
    kinds: Counter[str]


class OneAgentReader(LogReader):
    """Reads what the log has of one agent."""

    def decided_between(self, agent: str) -> tuple[datetime, datetime] | None:
        """Return the instants of an agent's first and last decision, None if it has none."""
        first = self._first_at(agent)
        last = None if first is None else self._last_at(agent)
        return None if first is None or last is None else (first, last)

    def stands_since(self, agent: str) -> datetime | None:
        """Return when what is active of an agent became so; None if there is no such agent."""
        rows = self._db.rows(
            "SELECT record FROM log WHERE position = (SELECT position FROM active WHERE agent = ?)",
            (agent,),
        )
        return parse_instant(read_body(rows[0][0])["at"]) if rows else None

    def _first_at(self, agent: str) -> datetime | None:
        after = 0
        while rows := self._db.rows(_FIRST, (after, LAST, _PAGE)):
            for position, _, at, record in rows:
                after = position
                if read_body(record).get("agent") == agent:
                    return from_micros(at)
        return None

    def _last_at(self, agent: str) -> datetime | None:
        before = LAST
        while rows := self._db.rows(_LAST, (before, _PAGE)):
            for position, _, at, record in rows:
                before = position
                if read_body(record).get("agent") == agent:
                    return from_micros(at)
        return None


class OneAgent(Log, OneAgentReader):
    """Removes what the log has of one agent, inside a transaction."""

    def remove_decisions(self, agent: str, after: int, through: int, limit: int) -> Removed:
        """Remove an agent's decisions with all that is said of them, and their contacts.

        What they used of the organisation's budgets stays counted. The log's newest row must be
        another, or its position would be given twice: append an entry that tells of it before.

        Args:
            agent: whose decisions.
            after: look at higher positions only.
            through: and at none above this one.
            limit: how many decisions, of whatever agent, to look at.
        """
        rows = self._db.rows(_FIRST, (after, through, limit))
        kinds: Counter[str] = Counter()
        for _, decision_id, _, record in rows:
            if read_body(record).get("agent") == agent:
                gone = self._db.rows(_REMOVE, (decision_id,) * 4)
                kinds.update(kind for kind, *_ in gone)
                self._db.run_many(_FORGET, [row[1:] for row in gone if row[1] is not None])
        return Removed(rows[-1][0] if len(rows) == limit else None, kinds)
