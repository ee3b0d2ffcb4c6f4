"""A memory of contacts, events and usage in plain Python: what a ledger is, without the database.

Rollouts and tests decide from it. What it recalls is, item by item, what the server's ledger
recalls in the same case.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from agents.context import Contact, Context, PastEvent
from agents.corrections import Correction, corrected, difference, event_charges, undone
from agents.counters import Charge
from agents.decisions import Decision, OutcomeEvent
from agents.guardrails.suppressed import EVERY
from agents.revision import Revision
from agents.rewards import gained, newly_counted

Past = TypeVar("Past", Contact, PastEvent)


@dataclass(slots=True)
class _Made:
    """A decision that was kept, with the contact it makes and the events heard of it."""

    revision: Revision
    decision: Decision
    contact: Contact | None
    events: list[OutcomeEvent] = field(default_factory=list)
    given_back: bool = False


@dataclass(slots=True)
class Memory:
    """Everything that guardrails ask about the past, over all customers and agents."""

    _contacts: dict[str, list[Contact]] = field(default_factory=lambda: defaultdict(list))
    _events: dict[str, list[PastEvent]] = field(default_factory=lambda: defaultdict(list))
    _usage: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    _made: dict[str, _Made] = field(default_factory=dict)
    _known: dict[str, tuple[OutcomeEvent, PastEvent]] = field(default_factory=dict)  # by id
    _suppressed: dict[str, dict[str, datetime | None]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def recall(
        self,
        revision: Revision,
        customer: str,
        at: datetime,
        features: Mapping[str, object],
        *,
        placement: str = "",
        channels: Collection[str] = (),
    ) -> Context:
        """Make the context of a decision now.

        Contacts planned ahead are known; an event is known once it has happened.

        Raises:
            ContextError: the features do not fit the customer schema.
        """
        bare = revision.context(customer, at, features, placement=placement, channels=channels)
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
        suppressed = tuple(
            channel
            for channel, until in sorted(self._suppressed.get(customer, {}).items())
            if until is None or until > bare.at
        )
        return replace(bare, contacts=contacts, events=events, usage=usage, suppressed=suppressed)

    def amount(self, counter: str, first: int, last: int) -> float:
        """Return the sum of a counter's buckets, first and last inclusive."""
        buckets = self._usage.get(counter, {})
        if first == last:
            return buckets.get(first, 0.0)
        return sum((amount for at, amount in buckets.items() if first <= at <= last), 0.0)

    def keep(self, decision: Decision, revision: Revision) -> Contact | None:
        """Remember a decision; return the contact it makes, None for `none`."""
        contact = decision.contact(revision.actions[decision.action])
        self._made[decision.decision_id] = _Made(revision, decision, contact)
        if contact is not None:
            _insert(self._contacts[decision.context.customer], contact)
            self._charge(revision.charges(decision.action, contact.at))
        return contact

    def meet(self, customer: str, contact: Contact) -> None:
        """Remember a contact that was made elsewhere; it uses nothing of any budget."""
        _insert(self._contacts[customer], contact)

    def hear(self, event: OutcomeEvent) -> list[str]:
        """Remember an event; return the outcomes for which it newly counts.

        An event that names no decision is credited to the customer's last touch, if there is one.
        A second event of the same id is not heard, nor does one count whose contact was not made.

        Raises:
            KeyError: it names a decision that was never kept.
        """
        if event.outcome_id in self._known:
            return []
        event = event if event.decision_id else self._credited(event)
        made = self._made[event.decision_id] if event.decision_id else None
        contact, agent = (None, "") if made is None else (made.contact, made.decision.agent)
        past = past_event(event, contact, agent)
        self._known[event.outcome_id] = event, past
        if made is None:
            _insert(self._events[event.customer], past)
            return []
        _insert(self._events[made.decision.context.customer], past)
        if made.given_back:
            return []
        decided_at, before = made.decision.at, made.events
        news = newly_counted(made.revision.agent, decided_at, before, event)
        if contact is not None:
            words = [earlier.outcome for earlier in before]
            self._charge(
                made.revision.event_charges(event, contact, before=words, counted=bool(news))
            )
        before.append(event)
        return news

    def correct(self, correction: Correction) -> list[str]:
        """Think of an outcome as a correction says; return the outcomes that count no more for it.

        What was retracted is forgotten, and what it had used of budgets is given back.

        Raises:
            KeyError: it adjusts an outcome that was never heard.
        """
        event, past = self._known[correction.outcome_id]
        made = self._made.get(event.decision_id)
        if made is None or made.given_back:
            self._forget(event.customer or _customer(made), past, correction)
            return []
        before, revision, decided_at = made.events, made.revision, made.decision.at
        made.events = corrected(before, [correction])
        if made.contact is not None:
            sums = [
                event_charges(revision, decided_at, made.contact, events)
                for events in (before, made.events)
            ]
            self._charge(difference(*sums))
        self._forget(_customer(made), past, correction)
        return gained(revision.agent, decided_at, made.events, before)

    def _forget(self, customer: str, past: PastEvent, correction: Correction) -> None:
        if correction.retracts and past in self._events[customer]:
            self._events[customer].remove(past)

    def confirm(self, decision_id: str, at: datetime) -> None:
        """Let caps and cooldowns count a contact as made at an instant, if it is a later one.

        What it uses of budgets stays in the period for which it was planned.

        Raises:
            KeyError: the decision was never kept.
        """
        made = self._made[decision_id]
        contacts = self._contacts[_customer(made)]
        if made.contact in contacts and at > made.contact.at:
            contacts.remove(made.contact)
            _insert(contacts, replace(made.contact, at=at))

    def give_back(self, decision_id: str) -> bool:
        """Undo the contact of a decision, which was released or never confirmed; say if there was.

        Raises:
            KeyError: the decision was never kept.
        """
        made = self._made[decision_id]
        if made.contact is None:
            return False
        self._charge(undone(made.revision, made.decision.at, made.contact, made.events))
        self._contacts[_customer(made)].remove(made.contact)
        made.contact, made.given_back = None, True
        return True

    def suppress(
        self, customer: str, channels: Collection[str] = (EVERY,), until: datetime | None = None
    ) -> None:
        """Contact a customer no more on some channels; of two ends the later stands.

        Args:
            customer: who objects.
            channels: by name; all if left out.
            until: when it ends; None for good.
        """
        known = self._suppressed[customer]
        for channel in channels:
            ends = (until, known.get(channel, until))
            known[channel] = None if None in ends else max(e for e in ends if e is not None)

    def lift(self, customer: str, channels: Collection[str] = ()) -> None:
        """Take back what `suppress` has said of some channels, or of all if none is named."""
        for channel in tuple(channels) or tuple(self._suppressed[customer]):
            self._suppressed[customer].pop(channel, None)

    def _credited(self, event: OutcomeEvent) -> OutcomeEvent:
        """Credit an event to the latest contact before it that takes it; else leave it as it is."""
        for contact in reversed(self._contacts.get(event.customer, [])):
            made = self._made.get(contact.decision_id)
            if made is None or contact.at > event.at:
                continue
            if takes(made.revision, made.decision.at, event):
                return replace(event, decision_id=made.decision.decision_id)
        return event

    def _charge(self, charges: tuple[Charge, ...]) -> None:
        for counter, bucket, amount in charges:
            buckets = self._usage[counter]
            buckets[bucket] = buckets.get(bucket, 0.0) + amount


def _customer(made: _Made | None) -> str:
    return "" if made is None else made.decision.context.customer


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


def _insert(past: list[Past], item: Past) -> None:
    """Keep a list in the order of time; what comes last usually belongs last."""
    place = len(past)
    while place and past[place - 1].at > item.at:
        place -= 1
    past.insert(place, item)
