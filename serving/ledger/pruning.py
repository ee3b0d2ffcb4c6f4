"""What has become older than the workspace keeps, and is removed from a ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from serving.ledger.database import to_micros
from serving.ledger.log import Log

_PRUNE = (
    "DELETE FROM log WHERE position IN ("
    " SELECT position FROM log AS old WHERE at < ? AND closes <= ? AND position <= ?"
    " AND position < (SELECT max(position) FROM log)"
    " AND NOT EXISTS (SELECT 1 FROM log AS later WHERE old.kind = 'decision'"
    " AND later.decision_id = old.id AND later.position > ?)"
    " AND NOT EXISTS (SELECT 1 FROM correction WHERE old.kind = 'decision'"
    " AND correction.decision_id = old.id AND correction.position > ?)"
    " AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.position = old.position"
    " AND (state = 'reserved' OR changed > ?))"
    " ORDER BY at LIMIT ?) RETURNING customer, at, position"
)
_FORGET = "DELETE FROM past WHERE customer = ? AND at = ? AND position = ?"


class Pruning(Log):
    """Removes, inside a transaction."""

    def prune(self, before: datetime, now: datetime, *, until: int, limit: int) -> int:
        """Remove the oldest decisions and outcomes with all that was indexed of them.

        The newest row of the log stays, so positions are never given twice and the ledger's
        clock goes on; revisions stay, too. So does a decision of which an entry speaks that stays
        because of its position, since whoever reads it looks for the decision, and one whose
        contact is only reserved.

        Args:
            before: what is younger stays.
            now: what is of a decision whose outcome windows are still open stays.
            until: what has a later position stays.
            limit: most rows to remove at once.

        Returns:
            How many were removed; less than `limit` if none are left.
        """
        rows = self._db.rows(
            _PRUNE, (to_micros(before), to_micros(now), until, until, until, until, limit)
        )
        self._db.run_many(_FORGET, [row for row in rows if row[0] is not None])
        return len(rows)

    def prune_usage(self, first: Mapping[str, int]) -> int:
        """Remove what lies before the first bucket of each counter; return how much it was."""
        sql = "DELETE FROM usage WHERE counter = ? AND bucket < ? RETURNING bucket"
        return sum(len(self._db.rows(sql, counter)) for counter in first.items())
