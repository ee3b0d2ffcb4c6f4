"""What has become older than the workspace keeps, and is removed from a ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from agents.actions import ANY
from serving.ledger.database import to_micros
from serving.ledger.log import LAST, Log

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
_PRUNE_USAGE = (
    "DELETE FROM usage WHERE (counter, bucket) IN ("
    " SELECT counter, bucket FROM usage WHERE {} AND bucket < ? LIMIT ?) RETURNING bucket"
)
_NAMED_LIKE = "substr(counter, 1, ?) = ? AND substr(counter, length(counter) - ? + 1) = ?"
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

    def prune_usage(self, first: Mapping[str, int], limit: int = LAST) -> int:
        """Remove what lies before the first bucket of each counter.

        Args:
            first: by the name of a counter. One of a supplied action is named after it; `*` in its
                place stands for all of them, also those that no request will list again.
            limit: about how many buckets to remove at once.

        Returns:
            How many were removed; less than `limit` if none are left.
        """
        removed = 0
        for name, bucket in first.items():
            if removed < limit:
                removed += len(self._db.rows(*_expired(name, bucket, limit - removed)))
        return removed


def _expired(name: str, bucket: int, limit: int) -> tuple[str, tuple[str | int, ...]]:
    """Return the statement that removes the oldest buckets of a counter, and its values."""
    before, any_, after = name.partition(f"/{ANY}")
    if not any_:
        return _PRUNE_USAGE.format("counter = ?"), (name, bucket, limit)
    start = f"{before}/"
    values = (len(start), start, len(after), after, bucket, limit)
    return _PRUNE_USAGE.format(_NAMED_LIKE), values
