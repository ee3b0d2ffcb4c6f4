"""What the checker's rules are about: actions, what happened earlier, one decision to judge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from agents.checking.actions import ActionLaw, Past, Slot
from agents.checking.times import Span, first_open

Bar = tuple[tuple[str, ...], str]
"""Ids of actions, and why a rule bars them."""


@dataclass(frozen=True, slots=True)
class ChannelLaw:
    """When a channel may be used; `queued` if what is quiet waits instead of being barred."""

    quiet: Span | None
    queued: bool
    windows: Mapping[str, Span]

    def send_at(self, window: str, at: datetime, zone: ZoneInfo | None) -> datetime | None:
        """Return when a contact decided now is sent; None if that cannot be known."""
        quiet = self.quiet if self.queued else None
        if not window and quiet is None:
            return at
        return None if zone is None else first_open(at, zone, self.windows.get(window), quiet)


class Totals:
    """What all customers together have used, recounted from the log."""

    def __init__(self) -> None:
        self._amounts: defaultdict[str, defaultdict[int, float]] = defaultdict(
            lambda: defaultdict(float)
        )

    def add(self, counter: str, place: int, amount: float) -> None:
        """Add to one bucket."""
        self._amounts[counter][place] += amount

    def read(self, counter: str, first: int, last: int) -> float:
        """Return the sum of the buckets from first to last."""
        buckets = self._amounts.get(counter)
        if buckets is None:
            return 0.0
        return sum(buckets.get(place, 0.0) for place in range(first, last + 1))


@dataclass(frozen=True, slots=True)
class View:
    """One decision to judge: what the law may ask about it.

    Args:
        zone: the customer's, None if unknown.
        bound: the features, bound for CEL.
        sends: by (channel, window), when what is decided now would be sent.
        contacts: all of the customer that the log knows, oldest first.
        recalled: those that the decision knew.
        events: what the decision knew that the customer did, oldest first.
        usage: what the decision knew of totals.
        totals: the same recounted from the log.
        placement: the slot that was asked for, empty if none.
        channels: the only ones that were asked for, empty if any may be used.
        suppressed: those on which the customer is not to be contacted; `*` for all.
        supplied: what the request says of the actions that it lists; empty if it lists none.
    """

    law: AgentLaw
    at: datetime
    customer: str
    features: Mapping[str, object]
    zone: ZoneInfo | None
    bound: Any
    sends: Mapping[Slot, datetime | None]
    contacts: Sequence[Past]
    recalled: Sequence[Past]
    events: Sequence[Past]
    usage: Mapping[str, float]
    totals: Totals
    placement: str
    channels: frozenset[str]
    suppressed: frozenset[str]
    supplied: Mapping[str, Any] = field(default_factory=dict)


class Law(Protocol):
    """One rule of one agent."""

    @property
    def name(self) -> str:
        """The name that reasons begin with."""

    def bars(self, view: View) -> Iterator[Bar]:
        """Yield the actions that it bars, and why."""


class Order(Protocol):
    """A rule that depends on what the others allow."""

    @property
    def name(self) -> str:
        """The name that reasons begin with."""

    def bars(self, view: View, allowed: frozenset[str], /) -> Iterator[Bar]:
        """Yield the actions that it bars, given those allowed so far without `none`."""


class Metered(Protocol):
    """Something counted over all customers."""

    @property
    def name(self) -> str:
        """Of the counter."""

    @property
    def amounts(self) -> Mapping[str, float]:
        """By action, what a contact adds."""

    def place(self, at: datetime) -> int:
        """Return the bucket that something at an instant belongs to."""

    def faults(self, view: View, *, complete: bool) -> Iterator[str]:
        """Compare what a decision knew of the total with the log."""


@dataclass(frozen=True, slots=True)
class AgentLaw:
    """All that binds one agent.

    Args:
        zone_field: the customer field that names the time zone, empty if there is none.
        environment: the CEL environment in which its conditions were compiled.
        laws, orders: the rules; orders are asked one after another, after the laws.
        undecided: names of rules that the log alone does not always decide.
        unchecked: what the checker leaves open, in words.
        words: by the name of an outcome, the event it is reported by.
        remembers: how long a contact is at least part of every context.
        meters: what is counted over all customers.
        universal: whether the workspace holds customers out of everything.
        hears: the events that its rules speak of, and responses, which every context holds.
        declared: names of the rules that documents declare; names: of all rules.
        ramp: share at the start and positives at which it is 1, of a maturity; None without.
        supplied: makes the law of the actions of one request; None if they are declared.
    """

    agent: str
    always_act: bool
    managed: str
    zone_field: str
    actions: Mapping[str, ActionLaw]
    channels: Mapping[str, ChannelLaw]
    environment: Any
    laws: tuple[Law, ...] = ()
    orders: tuple[Order, ...] = ()
    slots: tuple[Slot, ...] = ()
    undecided: frozenset[str] = frozenset()
    unchecked: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    remembers: timedelta = timedelta(days=30)
    meters: tuple[Metered, ...] = ()
    ramp: tuple[float, int] | None = None
    universal: bool = False
    hears: frozenset[str] = frozenset()
    declared: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    supplied: Callable[[tuple[str, ...]], AgentLaw] | None = None

    def offering(self, actions: Sequence[str]) -> AgentLaw:
        """Return the law of the actions of one decision, `none` first."""
        return self if self.supplied is None else self.supplied(tuple(actions[1:]))

    def bind(self, features: Mapping[str, object], now: datetime) -> Any:
        """Bind a customer's features and the instant of the decision for its conditions."""
        bound = {f"customer.{name}": value for name, value in features.items()}
        return self.environment.Activation(bound | {"now": now})
