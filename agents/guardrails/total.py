"""Frequency cap over all customers: counted by the ledger, charged with the decision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agents.counters import Counter, Measure, counter_name
from agents.guardrails.base import Bar, Indices, Moment, Rulebook
from agents.guardrails.history import UNKNOWN, Sent, by_key, by_slot
from agents.guardrails.usage import owned
from agents.spec import FrequencyCapSpec, Scope
from agents.units import describe_duration

_MEASURES: dict[str, Measure] = {
    "decision": "contacts", "delivery": "deliveries", "response": "events",
}  # fmt: skip
_COUNTED = {"decision": "contacts", "delivery": "deliveries", "response": "responses"}

Cells = tuple[str, tuple[tuple[int, Indices], ...]]


@dataclass(frozen=True, slots=True)
class TotalCap:
    """Keeps what is counted over all customers at or under `max` in every span or period.

    There is one counter for each group of actions that share something in the scope. Offers,
    actions and agents are counted under the agent's name; kinds, channels and all together under
    names that every agent bound by the rule shares. Of a rolling span a little more than the span
    is counted (see `Counter`), so it is never exceeded.

    Args:
        slots: the actions, by sending instant.
        cells: for each counter its name and, by position among the slots, its actions.
        what: how a reason names what is counted, and in which span.
    """

    name: str
    actions: Indices
    max: int
    counters: tuple[Counter, ...]
    slots: tuple[Sent, ...]
    cells: tuple[Cells, ...]
    what: str
    lookback: timedelta = timedelta(0)
    reads_contacts: bool = False
    hears: frozenset[str] = frozenset()

    @classmethod
    def compile(cls, name: str, spec: FrequencyCapSpec, book: Rulebook) -> TotalCap:
        """Compile a declared cap `for: total`."""
        actions = book.chosen(spec)
        groups = by_key(book, spec.scope, actions)
        measure, words = _MEASURES[spec.counts], words_counted(spec, book)
        zone = book.workspace.zone
        counters = tuple(
            Counter(
                counter_name(_counted(name, key, spec.scope, book), measure, spec.per),
                measure, group, spec.per, words, zone,
            )
            for key, group in groups.items()
        )  # fmt: skip
        what = f"{described(spec)}, over all customers"
        slots = by_slot(book, actions)
        return cls(name, actions, spec.max, counters, slots, _cells(counters, slots), what)

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar each group whose counter is full, by sending instant."""
        places = [self._place(moment.sends.get(slot)) for slot, _ in self.slots]
        usage, most = moment.context.usage, self.max
        for name, cells in self.cells:
            for slot, indices in cells:
                place = places[slot]
                used = None if place is None else usage.get(name + place)
                if place is None:
                    yield Bar(indices, UNKNOWN)
                elif used is None:
                    yield Bar(indices, f"the amount of {name}{place} is missing")
                elif not used < most:  # also what is no number
                    yield Bar(indices, f"{used:g} of {most} {self.what}")

    def _place(self, send_at: datetime | None) -> str | None:
        """Return what the keys of all its counters end with at one instant."""
        if send_at is None:
            return None
        counter = self.counters[0]  # the others have the same buckets
        return counter.key(send_at).removeprefix(counter.name)


def _cells(counters: Iterable[Counter], slots: Iterable[Sent]) -> tuple[Cells, ...]:
    """Part the actions of each counter by slot."""
    numbered = list(enumerate(frozenset(indices) for _, indices in slots))
    return tuple(
        (
            counter.name,
            tuple(
                (number, shared)
                for number, indices in numbered
                if (shared := tuple(i for i in counter.actions if i in indices))
            ),
        )
        for counter in counters
    )


def words_counted(spec: FrequencyCapSpec, book: Rulebook) -> frozenset[str]:
    """Return the words of the events that a cap counts by: failures of contacts, or responses."""
    match spec.counts:
        case "decision":
            return frozenset()
        case "delivery":
            return book.signalled("failure")
        case "response":
            return book.signalled("response")


def described(spec: FrequencyCapSpec) -> str:
    """Write what a cap counts, in which span and scope."""
    span = f"a calendar {spec.per}" if isinstance(spec.per, str) else describe_duration(spec.per)
    return f"{_COUNTED[spec.counts]} in {span} ({spec.scope})"


def _counted(rule: str, key: str, scope: Scope, book: Rulebook) -> str:
    agent = book.agent.agent
    name = f"cap:{owned(rule, book)}"
    match scope:
        case "all":
            return name
        case "kind" | "channel":
            return f"{name}:{key}"
        case "agent":
            return f"{name}:{agent}"
        case "offer" | "action":
            return f"{name}:{agent}/{key}"
