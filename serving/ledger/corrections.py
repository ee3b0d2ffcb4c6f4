"""Corrections in a ledger: what is to be thought of an outcome since it was recorded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from agents.corrections import Correction, corrected
from agents.decisions import OutcomeEvent
from serving.ledger.log import Log, LogReader
from serving.ledger.past import UNSAY


@dataclass(frozen=True, slots=True)
class StoredCorrection:
    """A correction as committed.

    Args:
        position: of its entry in the log.
        request: the fingerprint of the report.
        event: what it adjusts, as it was first reported.
        lost: names of the outcomes that count once less because of it.
    """

    position: int
    request: bytes
    correction: Correction
    event: OutcomeEvent
    lost: tuple[str, ...]


_STORED = (  # for a join, all of the log may be read
    "SELECT position, request, (SELECT record FROM log WHERE log.position = correction.position)"
    " FROM correction WHERE "
)


class CorrectionReader(LogReader):
    """Reads corrections."""

    def find_corrections(self, decision_id: str) -> list[StoredCorrection]:
        """Return the corrections of a decision's outcomes, in order of commit."""
        rows = self._db.rows(_STORED + "decision_id = ? ORDER BY position", (decision_id,))
        return [_stored(*row) for row in rows]

    def corrections_of(self, outcome_id: str) -> list[StoredCorrection]:
        """Return the corrections of one outcome, in order of commit."""
        rows = self._db.rows(_STORED + "outcome_id = ? ORDER BY position", (outcome_id,))
        return [_stored(*row) for row in rows]

    def corrections_within(self, first: int, last: int) -> dict[str, list[StoredCorrection]]:
        """Return, by decision, the corrections of all decisions of a stretch of the log.

        Args:
            first: the least position of the decisions.
            last: the greatest.
        """
        rows = self._db.rows(
            "SELECT correction.position, correction.request, log.record FROM log AS decided"
            " JOIN correction ON correction.decision_id = decided.id AND decided.kind = 'decision'"
            " JOIN log ON log.position = correction.position"
            " WHERE decided.position BETWEEN ? AND ? ORDER BY correction.position",
            (first, last),
        )
        found: dict[str, list[StoredCorrection]] = defaultdict(list)
        for row in rows:
            stored = _stored(*row)
            found[stored.event.decision_id].append(stored)
        return found

    def standing_events(self, decision_id: str) -> list[OutcomeEvent]:
        """Return the outcomes of a decision as they are thought of now."""
        events = self.find_events(decision_id)
        said = self.find_corrections(decision_id) if events else []
        return corrected(events, (each.correction for each in said)) if said else events


class Corrections(Log, CorrectionReader):
    """Adds corrections, inside a transaction."""

    def find_correction(self, correction_id: str) -> StoredCorrection | None:
        """Return a correction by its id."""
        rows = self._db.rows(_STORED + "correction_id = ?", (correction_id,))
        return _stored(*rows[0]) if rows else None

    def add_correction(
        self,
        correction: Correction,
        event: OutcomeEvent,
        *,
        lost: Iterable[str],
        remaining: Mapping[str, int],
        request: bytes,
        closes: datetime,
    ) -> int:
        """Append a correction, and forget what was retracted; return its position.

        Args:
            correction: what is to be thought of the outcome.
            event: the outcome, as it was first reported.
            lost: names of the outcomes that count once less because of it.
            remaining: how often each of these still counts.
            request: the fingerprint of the report.
            closes: until when it is needed, whatever its age; it is never pruned before what it
                adjusts, or that would stand again.
        """
        body: dict[str, Any] = {
            "correction": correction.to_record(), "event": event.to_record(),
            "lost": list(lost), "remaining": dict(remaining),
        }  # fmt: skip
        aged_from = max(correction.at, event.at)
        position = self.append(
            "correction", body, customer=event.customer, at=aged_from, closes=max(closes, aged_from)
        )
        self._db.run(
            "INSERT INTO correction VALUES (?, ?, ?, ?, ?)",
            (
                correction.correction_id, correction.outcome_id, event.decision_id, request,
                position,
            ),
        )  # fmt: skip
        if correction.retracts:
            self._db.run(UNSAY + "kind = 'outcome' AND id = ?)", (correction.outcome_id,))
        return position


def retracted_record(said: Sequence[StoredCorrection]) -> list[dict[str, Any]]:
    """Return what the log tells of outcomes that were taken back: word, instant, since when."""
    return [
        {"event": each.event.outcome, "at": each.event.at, "position": each.position}
        for each in said
        if each.correction.retracts
    ]


def _stored(position: int, request: bytes, body: bytes) -> StoredCorrection:
    record = orjson.loads(body)
    correction = Correction.from_record(record["correction"])
    event = OutcomeEvent.from_record(record["event"])
    return StoredCorrection(position, bytes(request), correction, event, tuple(record["lost"]))
