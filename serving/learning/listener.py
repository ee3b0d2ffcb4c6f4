"""What the entries of the log tell: which decision each is about, and what it teaches of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.decisions import Decision
from agents.errors import LogError
from agents.revision import Revision
from agents.units import parse_instant
from policies.teaching.logged import Logged, windows_of
from serving.learning.pupil import Heard, Lost
from serving.ledger import Entry, LedgerReader
from serving.ledger.deliveries import GIVEN_BACK

HEARD = ("decision", "outcome", "correction", "delivery")
"""Kinds of entries from which learners learn, and by which time goes on."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Reads the entries of one ledger's log."""

    ledger: LedgerReader
    _revisions: dict[str, Revision] = field(default_factory=dict)

    def heard(self, entry: Entry) -> Heard:
        """Read an entry, with its decision if it teaches anything.

        Raises:
            LogError: it is about no decision.
        """
        body = entry.body
        match entry.kind:
            case "decision":
                decision = Decision.from_record(body)
                return Heard(entry.position, decision.at, self._logged(entry.position, decision))
            case "outcome":
                return self._outcome(entry, body["event"])
            case "correction":
                return self._correction(entry, body["event"])
            case _:
                return self._delivery(entry)

    def _outcome(self, entry: Entry, event: Mapping[str, Any]) -> Heard:
        at, counted = parse_instant(event["at"]), tuple(entry.body["counted"])
        if not counted:
            return Heard(entry.position, at, None)
        return Heard(entry.position, at, self._followed(entry, event["decision_id"]), counted)

    def _correction(self, entry: Entry, event: Mapping[str, Any]) -> Heard:
        """Read a correction; an amount that was restated teaches nothing."""
        at, body = parse_instant(entry.body["correction"]["at"]), entry.body
        happened = parse_instant(event["at"])
        lost = tuple(Lost(name, happened, body["remaining"][name]) for name in body["lost"])
        if not lost:
            return Heard(entry.position, at, None)
        return Heard(entry.position, at, self._followed(entry, event["decision_id"]), (), lost)

    def _delivery(self, entry: Entry) -> Heard:
        """Read what became of a contact; only one that was not made changes what was taught."""
        at, body = parse_instant(entry.body["at"]), entry.body
        if body["state"] not in GIVEN_BACK:
            return Heard(entry.position, at, None)
        counted = {
            name: (int(each["count"]), parse_instant(each["at"]))
            for name, each in body["counted"].items()
        }
        logged = self._followed(entry, body["decision_id"])
        return Heard(entry.position, at, logged, withdrawn=counted)

    def _followed(self, entry: Entry, decision_id: str) -> Logged:
        stored = self.ledger.find_decision(decision_id)
        if stored is None:
            raise LogError(f"the {entry.kind} at {entry.position} is of no decision")
        return self._logged(stored.position, stored.decision)

    def _logged(self, position: int, decision: Decision) -> Logged:
        return Logged(position, decision, windows_of(self.revision(decision.revision)))

    def recall(self, position: int) -> Logged | None:
        """Return a decision by its position, None if the ledger keeps it no longer."""
        found = self.ledger.entries(position - 1, 1)
        if not found or (found[0].position, found[0].kind) != (position, "decision"):
            return None
        return self._logged(position, Decision.from_record(found[0].body))

    def revision(self, revision_id: str) -> Revision:
        """Return a revision.

        Raises:
            LogError: the ledger does not have it.
        """
        revision = self._revisions.get(revision_id)
        if revision is None:
            source = self.ledger.find_revision(revision_id)
            if source is None:
                raise LogError(f"the ledger has lost revision {revision_id}")
            revision = self._revisions[revision_id] = Revision.from_source(source)
        return revision
