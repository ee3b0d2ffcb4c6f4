"""Exclusive: of several agents only one speaks to a customer within a span."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from agents.context import Contact
from agents.counters import Counter
from agents.guardrails.base import Bar, Indices, Moment, Rulebook
from agents.guardrails.history import UNKNOWN, Sent, by_slot, recent
from agents.spec import ExclusiveSpec
from agents.units import describe_duration


@dataclass(frozen=True, slots=True)
class Exclusive:
    """Bars an agent's actions while another of the agents has the customer.

    Any contact of the others counts, whatever it was, and planned ahead as well: of two agents
    that plan for the same days, only the first to decide may speak.

    Args:
        slots: the actions, by sending instant.
        others: the agents that this one gives way to.
        span: how long a contact keeps the customer, in both directions; its end is free again.
    """

    name: str
    actions: Indices
    slots: tuple[Sent, ...]
    others: frozenset[str]
    span: timedelta
    hears: frozenset[str] = frozenset()
    reads_contacts: bool = True
    counters: tuple[Counter, ...] = ()

    @classmethod
    def compile(cls, name: str, spec: ExclusiveSpec, book: Rulebook) -> Exclusive | None:
        """Compile a declared exclusion; None for an agent that it does not list."""
        if book.agent.agent not in spec.agents:
            return None
        actions = book.chosen(spec)
        others = frozenset(spec.agents) - {book.agent.agent}
        return cls(name, actions, by_slot(book, actions), others, spec.for_)

    @property
    def lookback(self) -> timedelta:
        """An older contact no longer keeps the customer."""
        return self.span

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar what would be sent too near to a contact of another agent, by sending instant."""
        theirs = [
            contact
            for contact in recent(moment.context.contacts, moment, self.span)
            if contact.agent in self.others
        ]
        for slot, indices in self.slots if theirs else ():
            send_at = moment.sends.get(slot)
            if send_at is None:
                yield Bar(indices, UNKNOWN)
                continue
            near = [contact for contact in theirs if abs(send_at - contact.at) < self.span]
            if near:
                yield Bar(indices, self._kept_by(near[0]))

    def _kept_by(self, contact: Contact) -> str:
        return f"{contact.agent} has the customer for {describe_duration(self.span)}"
