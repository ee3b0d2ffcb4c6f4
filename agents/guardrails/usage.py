"""Limits over all customers: what one more contact would add to what is used already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime

from agents.counters import Counter, Measure, counter_name
from agents.guardrails.base import Bar, Indices, Moment, Plain, Rulebook
from agents.spec import Period

Slot = tuple[str, str]
"""A channel and a send window: actions that share them are sent at the same instant."""

_SLACK = 1e-9  # what sums of money may be off by


def slots(book: Rulebook, among: Iterable[int]) -> dict[Slot, Indices]:
    """Group actions by what their sending instant depends on."""
    groups: dict[Slot, list[int]] = defaultdict(list)
    for index in among:
        action = book.actions[index]
        groups[action.channel, action.window].append(index)
    return {slot: tuple(indices) for slot, indices in groups.items()}


def owned(rule: str, book: Rulebook) -> str:
    """Return a rule's name in counters: an agent's rule is its own, a workspace's is shared."""
    return rule if rule in book.workspace.guardrails else f"{book.agent.agent}/{rule}"


def usage_counter(
    what: str, book: Rulebook, actions: Indices, per: Period | None, measure: Measure = "contacts"
) -> Counter:
    """Count what is used in calendar periods of the workspace's zone, or in all (`per` None)."""
    name = counter_name(what, measure, per)
    return Counter(name, measure, actions, per, zone=book.workspace.zone)


def used(moment: Moment, counter: Counter, instant: datetime) -> float | None:
    """Return what is used in the period of an instant, None if that was not read."""
    return moment.context.usage.get(counter.key(instant))


def when(counter: Counter, instant: datetime) -> str:
    """Name the period of a counter that an instant belongs to, as the end of a phrase.

    Example:
        >>> from datetime import UTC
        >>> instant = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
        >>> when(Counter("c", "contacts", (1,), "day"), instant)
        ' on 2026-03-02'
        >>> when(Counter("c", "contacts", (1,), "hour"), instant)
        ' in the hour of 2026-03-02 12:00'
    """
    if not isinstance(counter.per, str):
        return ""
    bucket = counter.bucket(instant)
    if counter.per == "hour":
        day, hour = divmod(bucket, 24)
        return f" in the hour of {date.fromordinal(day)} {hour:02}:00"
    first = date.fromordinal(bucket)
    return f" on {first}" if counter.per == "day" else f" in the {counter.per} of {first}"


class Limit(Plain):
    """Bars an action if one more of it would exceed a maximum in the period it is sent in.

    Args:
        name: the name that reasons begin with.
        label: what is limited, in words.
        counter: what is used; the actions that it counts are those that are limited, each by 1
            or, where cost is measured, by its cost.
        most: contacts or currency; may be reached, not exceeded.
        book: where costs, channels and the currency are found.
    """

    def __init__(
        self, name: str, label: str, counter: Counter, most: float, book: Rulebook
    ) -> None:
        self.name, self.actions, self.counters = name, counter.actions, (counter,)
        self._label, self._counter, self._most = label, counter, most + _SLACK
        costly = counter.measure == "cost"
        self._unit = book.workspace.currency if costly else "contacts"
        self._slots = tuple(
            (slot, _dearest_first({i: book.actions[i].cost if costly else 1.0 for i in indices}))
            for slot, indices in slots(book, counter.actions).items()
        )

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar what no longer fits, dearest first."""
        known: dict[datetime, float | None] = {}
        for slot, priced in self._slots:
            send_at = moment.sends.get(slot)
            if send_at is None:
                yield Bar(_all_of(priced), "the sending instant is unknown")
                continue
            if send_at not in known:
                known[send_at] = used(moment, self._counter, send_at)
            gone = known[send_at]
            if gone is None or not gone + priced[0][0] <= self._most:  # else all of them fit
                yield from self._over(gone, priced, send_at)

    def _over(
        self, gone: float | None, priced: tuple[tuple[float, Indices], ...], send_at: datetime
    ) -> Iterator[Bar]:
        label = f"{self._label}{when(self._counter, send_at)}"
        if gone is None:
            yield Bar(_all_of(priced), f"{label} is unknown")
            return
        state = f"{gone:,.10g} of {self._most - _SLACK:,.10g} {self._unit} used"
        for amount, indices in priced:
            if gone + amount <= self._most:
                return
            yield Bar(indices, f"{label}: {state}, {amount:,.10g} more is too much")


def _dearest_first(amounts: dict[int, float]) -> tuple[tuple[float, Indices], ...]:
    groups: dict[float, list[int]] = defaultdict(list)
    for index, amount in amounts.items():
        groups[amount].append(index)
    return tuple((amount, tuple(groups[amount])) for amount in sorted(groups, reverse=True))


def _all_of(priced: tuple[tuple[float, Indices], ...]) -> Indices:
    return tuple(index for _, indices in priced for index in indices)
