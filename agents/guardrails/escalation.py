"""Escalation: a channel opens only after another one went unanswered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agents.counters import Counter
from agents.guardrails.base import Bar, Indices, Moment, Rulebook
from agents.guardrails.history import AHEAD, UNKNOWN, Sent, by_slot, heard, recent
from agents.spec import EscalationSpec
from agents.units import describe_duration


@dataclass(frozen=True, slots=True)
class Escalation:
    """Bars a channel unless a contact on the first one stayed unanswered for long enough.

    Args:
        groups: by what they share in the scope, the actions on the second channel, by sending
            instant.
        agent: whose contacts open the channel.
        from_: the channel that is tried first.
        hears: the words that answer.
        wait, within: the half-open span [wait, within) after the contact in which the channel is
            open.
        by_offer: whether the contact must have been of the very same offer, not of a bundle.
        reason: in words.
    """

    name: str
    actions: Indices
    groups: dict[str, tuple[Sent, ...]]
    agent: str
    from_: str
    hears: frozenset[str]
    wait: timedelta
    within: timedelta
    by_offer: bool
    reason: str
    reads_contacts: bool = True
    counters: tuple[Counter, ...] = ()

    @classmethod
    def compile(cls, name: str, spec: EscalationSpec, book: Rulebook) -> Escalation:
        """Compile a declared escalation over the agent's actions on its second channel."""
        actions = tuple(i for i in book.chosen(spec) if book.actions[i].channel == spec.to)
        groups = {
            key: by_slot(book, group) for key, group in book.group(spec.scope, actions).items()
        }
        reason = (
            f"{spec.to} opens {describe_duration(spec.wait)} to {describe_duration(spec.within)}"
            f" after {spec.from_} without {' or '.join(spec.unless)} ({spec.scope})"
        )
        return cls(
            name, actions, groups, book.agent.agent, spec.from_, frozenset(spec.unless),
            spec.wait, spec.within, spec.scope == "offer", reason,
        )  # fmt: skip

    @property
    def lookback(self) -> timedelta:
        """An answer may be reported before the instant that its contact was planned for."""
        return self.within + AHEAD

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar what no unanswered contact opens, by sending instant."""
        unanswered = self._unanswered(moment)
        if not unanswered:
            yield Bar(self.actions, self.reason)
            return
        for key, slots in self.groups.items():
            for slot, indices in slots:
                send_at = moment.sends.get(slot)
                if send_at is None:
                    yield Bar(indices, UNKNOWN)
                elif not any(
                    self.wait <= send_at - at < self.within
                    for at, offer in unanswered
                    if not self.by_offer or offer == key
                ):
                    yield Bar(indices, self.reason)

    def _unanswered(self, moment: Moment) -> list[tuple[datetime, str]]:
        """List when, and with which offer, the first channel was tried without an answer."""
        tried = [
            contact
            for contact in recent(moment.context.contacts, moment, self.within)
            if contact.agent == self.agent and contact.channel == self.from_
        ]
        if not tried:
            return []
        answered = {event.decision_id for event in heard(moment, self.hears, self.lookback)}
        return [(c.at, c.offer) for c in tried if c.decision_id not in answered]
