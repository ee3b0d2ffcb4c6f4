"""What a log knows of each customer: contacts recounted, events as decisions knew them."""

from __future__ import annotations

from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from agents.checking.actions import ActionLaw, Past
from agents.checking.laws import AgentLaw

Finding = tuple[str, str]
"""The guardrail that was broken, and how."""

_MONTH = timedelta(days=30)
_PARTS = ("agent", "action", "offer", "kind", "channel", "decision_id")


@dataclass(slots=True)
class Customer:
    """One customer's past, oldest first."""

    contacts: list[Past] = field(default_factory=list)
    by_id: dict[str, Past] = field(default_factory=dict)
    heard: dict[tuple[str, str], list[Past]] = field(default_factory=dict)
    reported: list[Past] = field(default_factory=list)
    retracted: dict[tuple[str, str, datetime], int] = field(default_factory=dict)

    def add(self, contact: Past) -> None:
        """Remember a contact once."""
        if _id(contact) not in self.by_id:
            self.by_id[_id(contact)] = contact
            insort(self.contacts, contact, key=_at)

    def remove(self, decision_id: str) -> Past | None:
        """Forget a contact that was not made after all, or not then; return it."""
        contact = self.by_id.pop(decision_id, None)
        if contact is not None:
            self.contacts.remove(contact)
        return contact

    def taken_back(self, event: Past, position: int) -> bool:
        """Say whether an event was taken back before a position of the log."""
        key = event.decision_id, event.word, event.at
        return self.retracted.get(key, position) < position


def _at(past: Past) -> datetime:
    return past.at


def _id(contact: Past) -> str:
    return contact.decision_id or f"{contact.at.isoformat()} {contact.agent} {contact.action}"


def read_past(entry: Mapping[str, Any]) -> Past:
    """Read a contact or an event of a logged context."""
    parts = {name: entry.get(name, "") for name in _PARTS}
    at, includes = datetime.fromisoformat(entry["at"]), tuple(entry.get("includes") or ())
    return Past(at, **parts, includes=includes, word=entry.get("event", ""))


class History:
    """All customers of a log, read row by row.

    Attributes:
        late: how many outcomes lay before a decision that did not know of them.
    """

    def __init__(self) -> None:
        self._customers: defaultdict[str, Customer] = defaultdict(Customer)
        self.late = 0

    def of(self, customer: str) -> Customer:
        """Return one customer's past."""
        return self._customers[customer]

    def compare(
        self, row: Mapping[str, Any], law: AgentLaw, recalled: list[Past], events: list[Past]
    ) -> Iterator[Finding]:
        """Compare what a decision knew with the log; learn of contacts made before the log."""
        known, at = self.of(row["customer"]), row["at"]
        ids = set()
        for contact in recalled:
            ids.add(_id(contact))
            logged = known.by_id.get(_id(contact))
            if logged is None:
                known.add(contact)
            elif (logged.at, logged.action) != (contact.at, contact.action):
                yield (
                    "context",
                    (
                        f"{_id(contact)} was {logged.action} at {logged.at},"
                        f" known as {contact.action} at {contact.at}"
                    ),
                )
        since = at - law.remembers
        for contact in known.contacts:
            if contact.at > since and _id(contact) not in ids:
                yield "context", f"the contact of {_id(contact)} at {contact.at} was not known"
        yield from self._forgotten(row, known, events, since)

    def _forgotten(
        self, row: Mapping[str, Any], known: Customer, events: list[Past], since: datetime
    ) -> Iterator[Finding]:
        """Ask for every event that an earlier decision of the same revision knew."""
        key = (row["agent"], row["revision"])
        # a decision for an earlier instant cannot know yet what one committed before it knew
        earlier = known.heard.get(key, [])
        lost = Counter(e for e in earlier if since < e.at <= row["at"]) - Counter(events)
        for event in lost:
            if not known.taken_back(event, row["position"]):
                yield "context", f"{event.word} at {event.at} was known before and is not now"
        for event in events:
            if known.taken_back(event, row["position"]):
                yield "context", f"{event.word} at {event.at} was taken back and is still known"
        ahead = [e for e in earlier if e.at > row["at"]]
        if events or ahead:
            known.heard[key] = [*events, *ahead]
        words = {(e.word, e.decision_id) for e in events}
        for event in known.reported:
            if since < event.at <= row["at"] and (event.word, event.decision_id) not in words:
                self.late += 1

    def learn(self, row: Mapping[str, Any], law: AgentLaw | None) -> None:
        """Remember the contact and the outcomes of a decision."""
        if row["send_at"] is not None and row["action"] != "none":
            self.of(row["customer"]).add(_contact(row, law))
        for each in row.get("retracted") or ():
            key = row["decision_id"], each["event"], each["at"]
            self.of(row["customer"]).retracted[key] = each["position"]
        if law is None:
            return
        for outcome in row["outcomes"]:
            word = law.words.get(outcome["outcome"], outcome["outcome"])
            if word in law.hears:
                event = Past(outcome["at"], row["agent"], row["action"],
                             decision_id=row["decision_id"], word=word)  # fmt: skip
                self.of(row["customer"]).reported.append(event)


def _contact(row: Mapping[str, Any], law: AgentLaw | None) -> Past:
    action = (law.actions.get(row["action"]) if law else None) or _from_id(row["action"])
    return Past(
        row["send_at"], row["agent"], row["action"], action.offer, action.kind, action.channel,
        action.includes, row["decision_id"],
    )  # fmt: skip


def _from_id(action: str) -> ActionLaw:
    """Read what an unknown agent's action says of itself: `offer/variant@channel#window`."""
    creative, _, sending = action.partition("@")
    return ActionLaw(action, creative.partition("/")[0], channel=sending.partition("#")[0])
