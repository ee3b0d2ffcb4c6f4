"""Cooldown and event suppression: a pause after a contact, a response, a rejection, an event."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agents.counters import Counter
from agents.guardrails.base import Bar, Indices, Moment, Past, Rulebook
from agents.guardrails.history import (
    UNKNOWN,
    Groups,
    heard,
    instants,
    recent,
    remembers,
)
from agents.spec import FOREVER, CooldownSpec, EventSuppressionSpec, Scope
from agents.units import describe_duration


@dataclass(frozen=True, slots=True)
class Cooldown:
    """Bars what shares a scope with something that happened less than `pause` ago.

    Contacts may be planned ahead: one that is to be sent less than `pause` after the candidate
    bars it as well. Where it takes several contacts to begin a pause, the candidate is barred too
    if with it a pause would begin in which one that is planned already would be sent.

    Args:
        groups: by what they share in the scope, the actions, by sending instant.
        agent, scope: what pauses together.
        pause: how long; its end is allowed again.
        times, within: the pause begins with what is the `times`-th of a half-open span `within`.
        reads_contacts: whether contacts begin it, rather than events.
        hears: the words of the events that begin it.
        remembered: whether the rule speaks of something earlier.
        reason: in words.
    """

    name: str
    actions: Indices
    groups: Groups
    agent: str
    scope: Scope
    pause: timedelta
    times: int
    within: timedelta
    reads_contacts: bool
    hears: frozenset[str]
    remembered: Callable[[Past], bool]
    reason: str
    counters: tuple[Counter, ...] = ()

    @classmethod
    def compile(cls, name: str, spec: CooldownSpec, book: Rulebook) -> Cooldown:
        """Compile a declared cooldown."""
        actions = book.chosen(spec)
        within = spec.within or timedelta(0)
        return cls(
            name, actions, Groups(book, spec.scope, actions), book.agent.agent, spec.scope,
            spec.pause, spec.times, within, spec.after == "contact", _words(spec, book),
            remembers(spec, book.actions, book.agent.agent), _reason(spec),
        )  # fmt: skip

    @classmethod
    def ending(cls, name: str, spec: EventSuppressionSpec, book: Rulebook) -> Cooldown:
        """Compile an event suppression: a cooldown after the first of its events."""
        actions = book.chosen(spec)
        span = "for good" if spec.for_ == FOREVER else f"for {describe_duration(spec.for_)}"
        reason = f"ended {span} by {' or '.join(spec.after)} ({spec.scope})"
        return cls(
            name, actions, Groups(book, spec.scope, actions), book.agent.agent, spec.scope,
            spec.for_, 1, timedelta(0), False, frozenset(spec.after),
            remembers(spec, book.actions, book.agent.agent), reason,
        )  # fmt: skip

    @property
    def lookback(self) -> timedelta:
        """A pause that is still on may have begun with the last of a whole span."""
        return self.pause + self.within

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar each group of the scope that pauses, by sending instant."""
        past = self._past(moment)
        if len(past) < self.times:
            return
        paused: list[int] = []
        for key, happened in instants(past, self.agent, self.scope).items():
            spans = self._spans(happened)
            ahead = self.times > 1 and self.reads_contacts and happened[-1] > moment.context.at
            for slot, indices in self.groups.by_key.get(key, ()) if spans or ahead else ():
                send_at = moment.sends.get(slot)
                if send_at is None:
                    yield Bar(indices, UNKNOWN)
                    continue
                for after, before in spans:
                    if after < send_at < before:
                        paused += indices
                        break
                else:
                    if ahead and self._breaks(happened, send_at):
                        paused += indices
        if paused:
            yield Bar(tuple(paused), self.reason)

    def _past(self, moment: Moment) -> Sequence[Past]:
        """List what may begin a pause, oldest first."""
        if self.reads_contacts:
            contacts = recent(moment.context.contacts, moment, self.lookback)
            return [contact for contact in contacts if self.remembered(contact)]
        events = heard(moment, self.hears, self.lookback)
        return [event for event in events if self.remembered(event)]

    def _begins(self, happened: list[datetime]) -> list[datetime]:
        """Keep the instants that are the `times`-th within the span that ends with them."""
        if self.times == 1:
            return happened
        firsts = happened[: len(happened) - self.times + 1]
        lasts = happened[self.times - 1 :]
        return [
            last for first, last in zip(firsts, lasts, strict=True) if last - first < self.within
        ]

    def _breaks(self, happened: list[datetime], send_at: datetime) -> bool:
        """Say whether one contact more would put one planned for later into a pause."""
        begins = self._begins(sorted([*happened, send_at]))
        brought = set(begins).difference(self._begins(happened))
        return any(begin < at < begin + self.pause for begin in brought for at in happened)

    def _spans(self, happened: list[datetime]) -> list[tuple[datetime, datetime]]:
        """List the open spans in which nothing is sent; an event's begins with its own instant."""
        back = self.pause if self.reads_contacts else datetime.resolution
        return [(begin - back, begin + self.pause) for begin in self._begins(happened)]


def _words(spec: CooldownSpec, book: Rulebook) -> frozenset[str]:
    match spec.after:
        case "contact":
            return frozenset()
        case "response" | "rejection" as signal:
            return book.signalled(signal)
        case words:
            return frozenset(words)


def _reason(spec: CooldownSpec) -> str:
    what = spec.after if isinstance(spec.after, str) else " or ".join(spec.after)
    if spec.within is not None:
        what = f"{what} {spec.times} times in {describe_duration(spec.within)}"
    return f"paused for {describe_duration(spec.pause)} after {what} ({spec.scope})"
