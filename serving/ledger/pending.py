"""Outcomes whose decision the ledger does not have yet: kept until it appears, or until they die.

They are no part of the log before their decision is: what follows nothing teaches nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from serving.ledger.database import Database, from_micros, to_micros

_PENDING = "SELECT outcome_id, request, body, until, dead FROM pending_outcome "
_JOINABLE = (  # for a join, all decisions may be read
    "SELECT outcome_id, request, body, until, dead FROM pending_outcome WHERE dead IS NULL AND"
    " (SELECT position FROM log WHERE kind = 'decision' AND id = pending_outcome.decision_id)"
    " IS NOT NULL ORDER BY until, outcome_id LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class PendingOutcome:
    """An outcome that waits for its decision.

    Args:
        request: the fingerprint of the report.
        body: the report, as plain JSON values.
        until: how long it waits (UTC); of a dead one, how long it is kept.
        dead: why it waits no longer, None while it does.
    """

    outcome_id: str
    request: bytes
    body: Mapping[str, Any]
    until: datetime
    dead: str | None


class PendingReader:
    """Reads what waits."""

    _db: Database

    def find_pending(self, outcome_id: str) -> PendingOutcome | None:
        """Return an outcome that waits, or has waited in vain, by its id."""
        rows = self._db.rows(_PENDING + "WHERE outcome_id = ?", (outcome_id,))
        return _pending(*rows[0]) if rows else None

    def told_before(self, outcome_id: str) -> tuple[bytes, str] | None:
        """Return the fingerprint under which an id was used otherwise than for an outcome.

        Beside it stands what for: `correction`, `pending` or `dead`; None if it was not.
        """
        rows = self._db.rows(
            "SELECT request, 'correction' FROM correction WHERE correction_id = ? UNION ALL"
            " SELECT request, CASE WHEN dead IS NULL THEN 'pending' ELSE 'dead' END"
            " FROM pending_outcome WHERE outcome_id = ?",
            (outcome_id, outcome_id),
        )
        return (bytes(rows[0][0]), str(rows[0][1])) if rows else None

    def joinable(self, limit: int) -> list[PendingOutcome]:
        """Return outcomes that wait although their decision is there."""
        rows = self._db.rows(_JOINABLE, (limit,))
        return [_pending(*row) for row in rows]

    def pending_counts(self) -> tuple[int, int]:
        """Return how many outcomes wait for their decision, and how many have in vain."""
        rows = self._db.rows("SELECT count(*), count(dead) FROM pending_outcome")
        every, dead = rows[0]
        return int(every) - int(dead), int(dead)


class Pending(PendingReader):
    """Keeps what waits, inside a transaction."""

    def keep_pending(
        self,
        outcome_id: str,
        decision_id: str,
        request: bytes,
        body: Mapping[str, Any],
        until: datetime,
    ) -> None:
        """Keep an outcome until its decision is there.

        Args:
            outcome_id: its id.
            decision_id: of the decision that it names.
            request: the fingerprint of the report.
            body: the report, as plain JSON values.
            until: how long it waits (UTC).
        """
        self._db.run(
            "INSERT INTO pending_outcome VALUES (?, ?, ?, ?, ?, NULL)",
            (outcome_id, decision_id, request, orjson.dumps(body), to_micros(until)),
        )

    def drop_pending(self, outcome_id: str) -> None:
        """Forget an outcome that waited."""
        self._db.run("DELETE FROM pending_outcome WHERE outcome_id = ?", (outcome_id,))

    def bury(self, outcome_id: str, why: str, until: datetime) -> None:
        """Let an outcome wait no longer, and keep it for people to look at.

        Args:
            outcome_id: its id.
            why: in words, without any of its content.
            until: how long it is kept (UTC).
        """
        self._db.run(
            "UPDATE pending_outcome SET dead = ?, until = ? WHERE outcome_id = ?",
            (why, to_micros(until), outcome_id),
        )

    def bury_late(self, now: datetime, why: str, until: datetime) -> int:
        """Let every outcome that has waited long enough wait no longer; return how many."""
        rows = self._db.rows(
            "UPDATE pending_outcome SET dead = ?, until = ? WHERE dead IS NULL AND until <= ?"
            " RETURNING outcome_id",
            (why, to_micros(until), to_micros(now)),
        )
        return len(rows)

    def forget_dead(self, now: datetime) -> int:
        """Forget what has been dead for long enough; return how many."""
        rows = self._db.rows(
            "DELETE FROM pending_outcome WHERE dead IS NOT NULL AND until <= ?"
            " RETURNING outcome_id",
            (to_micros(now),),
        )
        return len(rows)


def _pending(
    outcome_id: str, request: bytes, body: bytes, until: int, dead: str | None
) -> PendingOutcome:
    return PendingOutcome(outcome_id, bytes(request), orjson.loads(body), from_micros(until), dead)
