"""Frequency cap: at most so many contacts in any rolling span or calendar period."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agents.calendar import period_number
from agents.counters import Counter
from agents.guardrails.base import Bar, Guardrail, Indices, Moment, Past, Rulebook
from agents.guardrails.history import (
    AHEAD,
    UNKNOWN,
    Groups,
    Sent,
    heard,
    instants,
    recent,
    remembers,
)
from agents.guardrails.total import TotalCap, described, words_counted
from agents.spec import FrequencyCapSpec, Period, Scope

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
# Of each period the greatest number of days, and one for changes of the clocks.
_LONGEST: dict[Period, int] = {
    "hour": 2, "day": 2, "week": 8, "month": 32, "quarter": 93, "year": 367,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FrequencyCap:
    """Keeps what is counted for a customer at or under `max` in every span or period.

    A contact may be planned ahead by its send window, so both directions count: with fewer than
    `max` others within `per` of the candidate, no rolling span that holds the candidate can
    exceed `max`. Instants are placed on a line of whole numbers, microseconds or numbers of
    calendar periods; two of them fall together if they are less than `reach` apart.

    Args:
        groups: by what they share in the scope, the actions, by sending instant.
        agent, scope: what is counted together.
        mark: places an instant on the line.
        reach: a span, as a distance on the line; 1 for calendar periods.
        counted: the contacts, deliveries or responses that may count.
        what: how a reason names what is counted, and in which span.
    """

    name: str
    actions: Indices
    groups: Groups
    agent: str
    scope: Scope
    max: int
    mark: Callable[[datetime], int]
    reach: int
    counted: Callable[[Moment], Sequence[Past]]
    what: str
    lookback: timedelta
    reads_contacts: bool
    hears: frozenset[str]
    counters: tuple[Counter, ...] = ()

    @classmethod
    def compile(cls, name: str, spec: FrequencyCapSpec, book: Rulebook) -> Guardrail:
        """Compile a declared cap; one over all customers becomes a `TotalCap`."""
        if spec.for_ == "total":
            return TotalCap.compile(name, spec, book)
        actions, hears = book.chosen(spec), words_counted(spec, book)
        mark, reach, lookback = _line(spec, book.workspace.zone)
        return cls(
            name, actions, Groups(book, spec.scope, actions), book.agent.agent, spec.scope,
            spec.max, mark, reach, _counting(spec, book, hears, lookback), described(spec),
            # A failure may be reported before the instant that its contact was planned for.
            lookback + AHEAD if spec.counts == "delivery" else lookback,
            spec.counts != "response", hears,
        )  # fmt: skip

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar each group of the scope whose span is full, by sending instant."""
        if self.max and not (moment.context.contacts or moment.context.events):
            return
        counted = self.counted(moment)
        if len(counted) < self.max:
            return
        by_key = instants(counted, self.agent, self.scope)
        for key, slots in self.groups.by_key.items():
            near = by_key.get(key, ())
            if len(near) >= self.max:
                yield from self._full([self.mark(at) for at in near], slots, moment)

    def _full(self, marks: list[int], slots: tuple[Sent, ...], moment: Moment) -> Iterator[Bar]:
        counts: dict[datetime, int] = {}
        for slot, indices in slots:
            send_at = moment.sends.get(slot)
            if send_at is None:
                yield Bar(indices, UNKNOWN)
                continue
            count = counts.get(send_at)
            if count is None:
                first, last = (mine := self.mark(send_at)) - self.reach, mine + self.reach
                count = counts[send_at] = len([1 for mark in marks if first < mark < last])
            if count >= self.max:
                yield Bar(indices, f"{count} of {self.max} {self.what}")


def _line(spec: FrequencyCapSpec, zone: str) -> tuple[Callable[[datetime], int], int, timedelta]:
    """Return how instants become whole numbers, how far together reaches, and the lookback."""
    per = spec.per
    if isinstance(per, timedelta):
        return lambda at: (at - _EPOCH) // _TICK, per // _TICK, per
    return lambda at: period_number(per, at, zone), 1, timedelta(days=_LONGEST[per])


def _counting(
    spec: FrequencyCapSpec, book: Rulebook, words: frozenset[str], lookback: timedelta
) -> Callable[[Moment], Sequence[Past]]:
    """Return what lists the contacts, deliveries or responses that a cap speaks of."""
    remembered = remembers(spec, book.actions, book.agent.agent)

    def contacts(moment: Moment) -> Sequence[Past]:
        return [c for c in recent(moment.context.contacts, moment, lookback) if remembered(c)]

    def deliveries(moment: Moment) -> Sequence[Past]:
        failed = {e.decision_id for e in heard(moment, words, lookback + AHEAD) if e.decision_id}
        return [
            contact
            for contact in recent(moment.context.contacts, moment, lookback)
            if contact.decision_id not in failed and remembered(contact)
        ]

    def responses(moment: Moment) -> Sequence[Past]:
        return [event for event in heard(moment, words, lookback) if remembered(event)]

    return {"decision": contacts, "delivery": deliveries, "response": responses}[spec.counts]
