"""Running totals of the log: what each agent did, hour by hour, and what barred the rest.

They are a function of the log's order alone, so what is read again after a restart gives the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from agents.revision import Revision
from agents.rewards import counted, reward
from serving.ledger import Entry
from serving.ledger.deliveries import GIVEN_BACK
from serving.reports.facts import Past

HOUR = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOURS_A_DAY = 24
_KEPT_HOURS = 35 * _HOURS_A_DAY


class Slot(NamedTuple):
    """Whose decisions are added up, and of when: whole hours since 1970 (UTC)."""

    agent: str
    revision: str
    hour: int


@dataclass(slots=True)
class ActionTotal:
    """What became of one action: sums over the decisions that drew it."""

    decisions: int = 0
    propensity: float = 0.0
    explored: int = 0
    outcomes: int = 0
    reward: float = 0.0
    given_back: int = 0

    def add(self, other: ActionTotal) -> None:
        """Add another one's sums."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class BarTotal:
    """What one guardrail barred.

    Args:
        actions: over all decisions, the actions for which its reason stood.
        decisions: those in which it barred any.
        last: those in which everything was barred, and it was the last to bar any of it.
    """

    actions: int = 0
    decisions: int = 0
    last: int = 0

    def add(self, other: BarTotal) -> None:
        """Add another one's sums."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class SlotTotal:
    """All sums of one slot.

    Args:
        actions: by id.
        bars: by the guardrail's name.
        nothing: decisions that ended in `none`, by their reason.
    """

    actions: defaultdict[str, ActionTotal] = field(default_factory=lambda: defaultdict(ActionTotal))
    bars: defaultdict[str, BarTotal] = field(default_factory=lambda: defaultdict(BarTotal))
    nothing: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def size(self) -> int:
        """How many sums it has."""
        return len(self.actions) + len(self.bars) + len(self.nothing)

    def add(self, other: SlotTotal) -> None:
        """Add another slot's sums."""
        for name, action in other.actions.items():
            self.actions[name].add(action)
        for name, bar in other.bars.items():
            self.bars[name].add(bar)
        for name, decisions in other.nothing.items():
            self.nothing[name] += decisions


class Totals:
    """Adds up entries of the log, given one after another.

    Args:
        past: answers what an entry does not say itself.
        most: sums to keep; when there are more, hours older than 35 days are added up to days, and
            then the oldest are forgotten.
    """

    def __init__(self, past: Past, most: int = 200_000) -> None:
        self.position = 0
        self.since: datetime | None = None
        self.slots: dict[Slot, SlotTotal] = {}
        self._past = past
        self._most = most
        self._size = 0

    def take(self, entry: Entry) -> None:
        """Add one entry.

        Raises:
            LookupError, TypeError, ValueError: it is damaged; nothing was added.
        """
        kinds: Mapping[str, Callable[[int, Mapping[str, Any]], None]] = {
            "decision": self._decided,
            "outcome": self._heard,
            "correction": self._heard,
            "delivery": self._delivered,
        }
        take = kinds.get(entry.kind)
        self.position = entry.position
        if take is not None:
            take(entry.position, entry.body)
            if self._size > self._most:
                self._shrink()

    def _decided(self, _position: int, body: Mapping[str, Any]) -> None:
        facts = self._past.facts(body["revision"])
        index, reasons, ids = body["action"], body["mask"], body["actions"]
        propensity, explored = body["distribution"][index], bool(body["explored"])
        slot = Slot(body["agent"], body["revision"], hour_of(datetime.fromisoformat(body["at"])))
        total = self._slot(slot)
        before = total.size
        action = total.actions[ids[index]]
        action.decisions += 1
        action.propensity += propensity
        action.explored += explored
        action.reward -= facts.cost(index)
        if index == 0:
            total.nothing[body["reason"]] += 1
        _add_bars(total, reasons, facts.order)
        self._size += total.size - before

    def _heard(self, position: int, body: Mapping[str, Any]) -> None:
        """Add what an outcome, or a correction of one, has changed of its decision's reward."""
        decision_id = body["event"]["decision_id"]
        stored = self._past.decision(decision_id) if decision_id else None
        if stored is None:
            return  # it followed nothing, or what it followed has been removed
        decision, facts = stored, self._past.facts(stored.revision)
        revision: Revision = facts.revision.offering(stored.actions)
        action = revision.actions[decision.action]
        worth, count = [], []
        for until in (position - 1, position):
            events = self._past.events(decision_id, until)
            worth.append(reward(revision.agent, action, decision.at, events))
            count.append(len(counted(revision.agent, decision.at, events)))
        total = self._of(decision.agent, decision.revision, decision.at, decision.action_id)
        if total is not None:
            total.reward += worth[1] - worth[0]
            total.outcomes += count[1] - count[0]

    def _delivered(self, _position: int, body: Mapping[str, Any]) -> None:
        stored = self._past.decision(body["decision_id"])
        if stored is None or body["state"] not in GIVEN_BACK:
            return
        total = self._of(stored.agent, stored.revision, stored.at, stored.action_id)
        if total is not None:
            total.given_back += 1

    def _of(self, agent: str, revision: str, at: datetime, action: str) -> ActionTotal | None:
        """Return the sums that a decision was added to, None if they have been forgotten."""
        for hour in (hour_of(at), _day(hour_of(at))):
            total = self.slots.get(Slot(agent, revision, hour))
            if total is not None and action in total.actions:
                return total.actions[action]
        return None

    def _slot(self, slot: Slot) -> SlotTotal:
        total = self.slots.get(slot)
        if total is None:
            total = self.slots[slot] = SlotTotal()
        return total

    def _shrink(self) -> None:
        """Add old hours up to days, then forget the oldest, down to nine tenths."""
        kept_from = max(slot.hour for slot in self.slots) - _KEPT_HOURS
        for slot in [each for each in self.slots if each.hour < kept_from]:
            day = slot._replace(hour=_day(slot.hour))
            if day != slot:
                self._slot(day).add(self.slots.pop(slot))
        self._size = sum(total.size for total in self.slots.values())
        for slot in sorted(self.slots, key=lambda each: each.hour):
            if self._size <= 0.9 * self._most:
                break
            self._size -= self.slots.pop(slot).size
            self.since = instant_of(slot.hour) + HOUR


def hour_of(at: datetime) -> int:
    """Return the whole hours from 1970 (UTC) to an instant."""
    return (at - _EPOCH) // HOUR


def instant_of(hour: int) -> datetime:
    """Return the instant (UTC) at which an hour begins."""
    return _EPOCH + hour * HOUR


def _day(hour: int) -> int:
    return hour - hour % _HOURS_A_DAY


def _add_bars(total: SlotTotal, reasons: list[str | None], order: Mapping[str, int]) -> None:
    """Add one decision's mask; `none` is not among what is barred."""
    barred: dict[str, int] = {}
    for reason in reasons[1:]:
        if reason is not None:
            name = reason.partition(": ")[0]
            barred[name] = barred.get(name, 0) + 1
    for name, actions in barred.items():
        bar = total.bars[name]
        bar.actions += actions
        bar.decisions += 1
    if len(reasons) > 1 and sum(barred.values()) == len(reasons) - 1:
        last = max(barred, key=lambda name: order.get(name, len(order)))
        total.bars[last].last += 1
