"""What the entries of the log tell: which decision each is about, and what it teaches of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from agents.errors import LogError
from agents.revision import Revision
from agents.units import parse_instant
from policies.teaching.logged import windows_of
from serving.learning.heard import Body, Heard, Lost, Told
from serving.ledger import Entry, LedgerReader
from serving.ledger.deliveries import GIVEN_BACK

HEARD = ("decision", "outcome", "correction", "delivery")
"""Kinds of entries from which learners learn, and by which time goes on."""


class Page(NamedTuple):
    """Entries that were read together.

    Args:
        entries: in order; decisions are as they are stored.
        places: the positions of the decisions that they follow, by their ids.
    """

    entries: list[Entry]
    places: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Listener:
    """Reads the entries of one ledger's log."""

    ledger: LedgerReader
    _revisions: dict[str, Revision] = field(default_factory=dict)
    _windows: dict[str, Mapping[str, timedelta]] = field(default_factory=dict)  # by revision

    def read(self, after: int, limit: int) -> Page:
        """Return up to `limit` entries above a position.

        Raises:
            StateError: the ledger cannot be read now.
        """
        entries = self.ledger.entries(after, limit, stored=True)
        followed = {_followed(entry) for entry in entries} - {""}
        return Page(entries, self.ledger.positions_of(tuple(followed)))  # at once: one journey

    def heard(self, entry: Entry, places: Mapping[str, int]) -> Heard:
        """Understand an entry of a page.

        Raises:
            LogError: it is about no decision.
        """
        place = entry.position if entry.kind == "decision" else places.get(_followed(entry))
        return self._heard(entry, places)._replace(entry=entry, decision=place)

    def _heard(self, entry: Entry, places: Mapping[str, int]) -> Heard:
        body, place = entry.body, entry.position
        match entry.kind:
            case "decision":
                return Heard(place, parse_instant(body["at"]), Told(place, self.body, body))
            case "outcome":
                at, counted = parse_instant(body["event"]["at"]), tuple(body["counted"])
                return Heard(place, at, self._told(entry, places) if counted else None, counted)
            case "correction":
                return self._correction(entry, places, body["event"])
            case _:
                return self._delivery(entry, places)

    def _correction(
        self, entry: Entry, places: Mapping[str, int], event: Mapping[str, Any]
    ) -> Heard:
        """Read a correction; an amount that was restated teaches nothing."""
        at, body = parse_instant(entry.body["correction"]["at"]), entry.body
        happened = parse_instant(event["at"])
        lost = tuple(Lost(name, happened, body["remaining"][name]) for name in body["lost"])
        return Heard(entry.position, at, self._told(entry, places) if lost else None, (), lost)

    def _delivery(self, entry: Entry, places: Mapping[str, int]) -> Heard:
        """Read what became of a contact; only one that was not made changes what was taught."""
        at, body = parse_instant(entry.body["at"]), entry.body
        if body["state"] not in GIVEN_BACK:
            return Heard(entry.position, at, None)
        counted = {
            name: (int(each["count"]), parse_instant(each["at"]))
            for name, each in body["counted"].items()
        }
        return Heard(entry.position, at, self._told(entry, places), withdrawn=counted)

    def _told(self, entry: Entry, places: Mapping[str, int]) -> Told:
        position = places.get(_followed(entry))
        if position is None:
            raise LogError(f"the {entry.kind} at {entry.position} is of no decision")
        return Told(position, self.body)

    def body(self, position: int) -> Body | None:
        """Return a decision as stored by its position, None if the ledger keeps it no longer."""
        found = self.ledger.entries(position - 1, 1, stored=True)
        if not found or (found[0].position, found[0].kind) != (position, "decision"):
            return None
        return found[0].body

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

    def windows(self, revision_id: str) -> Mapping[str, timedelta]:
        """Return the window of each outcome of a revision; the same object each time.

        Raises:
            LogError: the ledger does not have it.
        """
        if revision_id not in self._windows:
            self._windows[revision_id] = windows_of(self.revision(revision_id))
        return self._windows[revision_id]


def _followed(entry: Entry) -> str:
    """Return the id of the decision that an entry follows, empty if it follows none."""
    match entry.kind:
        case "outcome" | "correction":
            event = entry.body.get("event")
            found = event.get("decision_id") if isinstance(event, dict) else None
        case "delivery":
            found = entry.body.get("decision_id")
        case _:
            found = None
    return found if isinstance(found, str) else ""
