"""A memory of contacts, events and usage in plain Python: what a ledger is, without the database.

Rollouts and tests decide from it. What it recalls is, item by item, what the server's ledger
recalls in the same case.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from agents.context import Contact, Context, PastEvent
from agents.counters import Charge
from agents.decisions import Decision, OutcomeEvent
from agents.revision import Revision
from agents.rewards import counted

Past = TypeVar("Past", Contact, PastEvent)


@dataclass(slots=True)
class Memory:
    """Everything that guardrails ask about the past, over all customers and agents."""

    _contacts: dict[str, list[Contact]] = field(default_factory=lambda: defaultdict(list))
    _events: dict[str, list[PastEvent]] = field(default_factory=lambda: defaultdict(list))
    _usage: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    _made: dict[str, tuple[Revision, Decision, Contact | None]] = field(default_factory=dict)
    _heard: dict[str, list[OutcomeEvent]] = field(default_factory=lambda: defaultdict(list))
    _known: set[str] = field(default_factory=set)  # ids of the events heard

    def recall(
        self,
        revision: Revision,
        customer: str,
        at: datetime,
        features: Mapping[str, object],
        *,
        placement: str = "",
    ) -> Context:
        """Make the context of a decision now.

        Contacts planned ahead are known; an event is known once it has happened.

        Raises:
            ContextError: the features do not fit the customer schema.
        """
        bare = revision.context(customer, at, features, placement=placement)
        sent_since = bare.at - revision.lookback
        heard_since = bare.at - revision.event_lookback
        contacts = tuple(c for c in self._contacts.get(customer, ()) if c.at > sent_since)
        events = tuple(
            event
            for event in self._events.get(customer, ())
            if event.event in revision.hears and heard_since < event.at <= bare.at
        )
        usage = {
            reading.key: self.amount(reading.counter, reading.first, reading.last)
            for reading in revision.readings(bare)
        }
        return replace(bare, contacts=contacts, events=events, usage=usage)

    def amount(self, counter: str, first: int, last: int) -> float:
        """Return the sum of a counter's buckets, first and last inclusive."""
        buckets = self._usage.get(counter, {})
        if first == last:
            return buckets.get(first, 0.0)
        return sum((amount for at, amount in buckets.items() if first <= at <= last), 0.0)

    def keep(self, decision: Decision, revision: Revision) -> Contact | None:
        """Remember a decision; return the contact it makes, None for `none`."""
        contact = decision.contact(revision.actions[decision.action])
        self._made[decision.decision_id] = (revision, decision, contact)
        if contact is not None:
            _insert(self._contacts[decision.context.customer], contact)
            self._charge(revision.charges(decision.action, contact.at))
        return contact

    def hear(self, event: OutcomeEvent) -> list[str]:
        """Remember an event; return the outcomes for which it newly counts.

        An event that names no decision is credited to the customer's last touch, if there is one.
        A second event of the same id is not heard.

        Raises:
            KeyError: it names a decision that was never kept.
        """
        if event.outcome_id in self._known:
            return []
        self._known.add(event.outcome_id)
        event = event if event.decision_id else self._credited(event)
        if not event.decision_id:
            _insert(self._events[event.customer], PastEvent(event.at, event.outcome))
            return []
        revision, decision, contact = self._made[event.decision_id]
        before = self._heard[event.decision_id]
        news = newly_counted(revision, decision, before, event)
        if contact is not None:
            self._charge(
                revision.event_charges(
                    event, contact, before=[e.outcome for e in before], counted=bool(news)
                )
            )
        _insert(self._events[decision.context.customer], past_event(event, contact, decision.agent))
        before.append(event)
        return news

    def _credited(self, event: OutcomeEvent) -> OutcomeEvent:
        """Credit an event to the latest contact before it that takes it; else leave it as it is."""
        for contact in reversed(self._contacts.get(event.customer, [])):
            revision, decision, _ = self._made[contact.decision_id]
            if contact.at <= event.at and takes(revision, decision.at, event):
                return replace(event, decision_id=decision.decision_id)
        return event

    def _charge(self, charges: tuple[Charge, ...]) -> None:
        for counter, bucket, amount in charges:
            buckets = self._usage[counter]
            buckets[bucket] = buckets.get(bucket, 0.0) + amount


def takes(revision: Revision, decided_at: datetime, event: OutcomeEvent) -> bool:
    """Say whether a decision takes an event that names only its customer, by last touch.

    It does if its agent has an outcome of that word, attributed to the last touch, whose window
    [decided_at, decided_at + window) holds the event.
    """
    return any(
        event.outcome == (outcome.event or name)
        and outcome.attribution == "last_touch"
        and decided_at <= event.at < decided_at + outcome.window
        for name, outcome in revision.agent.outcomes.items()
    )


def past_event(event: OutcomeEvent, contact: Contact | None, agent: str = "") -> PastEvent:
    """Return an event as later decisions remember it, with what it followed.

    Args:
        event: what happened.
        contact: what it followed; None if its decision was for `none`, or it names no decision.
        agent: whose decision it followed, so that it counts for that agent even then.
    """
    if contact is None:
        return PastEvent(event.at, event.outcome, event.decision_id, agent)
    return PastEvent(
        event.at, event.outcome, event.decision_id, contact.agent, contact.offer, contact.kind,
        contact.channel, contact.action, contact.includes,
    )  # fmt: skip


def newly_counted(
    revision: Revision, decision: Decision, before: list[OutcomeEvent], event: OutcomeEvent
) -> list[str]:
    """Name the outcomes that count once more because of an event.

    Not "is it among those that count": of two that count once, heard out of order, the later
    heard would then be counted beside the first.
    """
    earlier = Counter(c.outcome for c in counted(revision.agent, decision.at, before))
    now = Counter(c.outcome for c in counted(revision.agent, decision.at, [*before, event]))
    return sorted((now - earlier).elements())


def _insert(past: list[Past], item: Past) -> None:
    """Keep a list in the order of time; what comes last usually belongs last."""
    place = len(past)
    while place and past[place - 1].at > item.at:
        place -= 1
    past.insert(place, item)
