"""Frequency cap: at most so many contacts in any rolling span."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agents.actions import Action, Scope
from agents.context import Contact
from agents.guardrails.base import Bar, Indices, Moment, Rulebook, matches
from agents.spec import FrequencyCapSpec
from agents.units import describe_duration


@dataclass(frozen=True, slots=True)
class FrequencyCap:
    """Keeps the contacts of a scope at or under `max` in every rolling span of `per`.

    A contact may be planned ahead by its send window, so both directions count: with fewer than
    `max` others within `per` of the candidate, no span that holds the candidate can exceed `max`.
    """

    name: str
    actions: Indices
    max: int
    per: timedelta
    scope: Scope
    agent: str
    groups: tuple[tuple[str, Indices], ...]
    catalog: tuple[Action, ...]

    @classmethod
    def compile(cls, name: str, spec: FrequencyCapSpec, book: Rulebook) -> FrequencyCap:
        """Compile a declared cap over the agent's actions."""
        groups = tuple(book.group(spec.scope).items())
        return cls(
            name, book.every(), spec.max, spec.per, spec.scope, book.agent.agent, groups,
            book.actions,
        )  # fmt: skip

    @property
    def lookback(self) -> timedelta:
        """Contacts older than the span cannot count."""
        return self.per

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar each group of the scope whose span is full."""
        contacts = moment.context.contacts
        if len(contacts) < self.max:
            return
        for key, indices in self.groups:
            near = [c for c in contacts if matches(c, self.agent, self.scope, key)]
            if len(near) >= self.max:
                yield from self._full(near, indices, moment)

    def _full(self, near: list[Contact], indices: Indices, moment: Moment) -> Iterator[Bar]:
        by_send: dict[datetime | None, list[int]] = {}
        for index in indices:
            by_send.setdefault(moment.send_at(self.catalog[index]), []).append(index)
        for send_at, group in by_send.items():
            if send_at is None:
                yield Bar(tuple(group), "the sending instant is unknown")
                continue
            count = sum(abs(send_at - contact.at) < self.per for contact in near)
            if count >= self.max:
                span = describe_duration(self.per)
                yield Bar(tuple(group), f"{count} of {self.max} contacts in {span} ({self.scope})")
