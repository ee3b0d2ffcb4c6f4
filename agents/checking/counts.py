"""Rules over one customer's contacts and events: caps, cooldowns, ends, exclusive agents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from agents.checking.actions import Group, Past, Selection, instants
from agents.checking.laws import Bar, View
from agents.checking.times import bucket


@dataclass(frozen=True, slots=True)
class CustomerCap:
    """At most `most` counted things near a contact, or in its calendar period.

    Args:
        words: what is counted in place of contacts, if events are; else None.
        failures: events that take a contact back.
    """

    name: str
    groups: tuple[Group, ...]
    selection: Selection
    scope: str
    most: int
    per: str | timedelta
    zone: ZoneInfo
    words: frozenset[str] | None = None
    failures: frozenset[str] = frozenset()

    def bars(self, view: View) -> Iterator[Bar]:
        """Bar the groups that are full where they would be sent."""
        counted = self.selection.counted(self._source(view), view.law)
        if len(counted) < self.most:
            return
        happened = instants(counted, view.law.agent, self.scope)
        for group in self.groups:
            at, near = view.sends.get(group.slot), happened.get(group.key, [])
            if at is None or len(near) < self.most:
                continue
            count = sum(self._together(at, other) for other in near)
            if count >= self.most:
                what = f"{self.scope} {group.key}".strip()
                yield group.ids, f"{count} of {self.most} in {_per(self.per)} already ({what})"

    def _source(self, view: View) -> Sequence[Past]:
        if self.words is not None:
            return [e for e in view.events if e.word in self.words]
        if not self.failures:
            return view.contacts
        failed = {e.decision_id for e in view.events if e.word in self.failures}
        return [c for c in view.contacts if not c.decision_id or c.decision_id not in failed]

    def _together(self, at: datetime, other: datetime) -> bool:
        if isinstance(self.per, timedelta):
            return abs(at - other) < self.per
        return bucket(self.per, at, self.zone) == bucket(self.per, other, self.zone)


def _per(per: str | timedelta) -> str:
    return per if isinstance(per, str) else f"{per.total_seconds():.0f} s"


@dataclass(frozen=True, slots=True)
class Pause:
    """After contacts or events, nothing more that shares their scope for a while.

    Args:
        words: the events that begin it; None for contacts, which bar both ways in time.
        times, within: how many of them, in which span, begin it.
    """

    name: str
    groups: tuple[Group, ...]
    selection: Selection
    scope: str
    pause: timedelta
    words: frozenset[str] | None
    times: int = 1
    within: timedelta = timedelta(0)

    def bars(self, view: View) -> Iterator[Bar]:
        """Bar the groups that would be sent in the pause."""
        begins = view.contacts
        if self.words is not None:
            begins = [event for event in view.events if event.word in self.words]
        counted = self.selection.counted(begins, view.law) if begins else ()
        if not counted:
            return
        happened = instants(counted, view.law.agent, self.scope)
        begun = {
            key: [at for at in listed if self._enough(listed, at)]
            for key, listed in happened.items()
        }
        for group in self.groups:
            at = view.sends.get(group.slot) if group.key in begun else None
            if at is None:
                continue
            if self.words is None and self._crowds(happened[group.key], at):
                yield group.ids, f"with {at} a pause would begin before what is planned"
            on = next((instant for instant in begun[group.key] if self._on(at, instant)), None)
            if on is not None:
                begin = "a contact" if self.words is None else "an event"
                what = f"{self.scope} {group.key}".strip()
                yield group.ids, f"{begin} at {on} pauses {at} ({what})"

    def _on(self, at: datetime, begun: datetime) -> bool:
        if begun <= at:
            return at - begun < self.pause
        return self.words is None and begun - at < self.pause

    def _crowds(self, happened: Sequence[datetime], sent: datetime) -> bool:
        """Say whether one more contact begins a pause, now or later, that a later one breaks."""
        return self.times > 1 and any(
            begin < later < begin + self.pause
            for begin in (sent, *(at for at in happened if at > sent))
            if not (begin in happened and self._enough(happened, begin))
            and self._enough((*happened, sent), begin)
            for later in happened
        )

    def _enough(self, happened: Sequence[datetime], last: datetime) -> bool:
        if self.times == 1:
            return True
        return sum(last - self.within < at <= last for at in happened) >= self.times


@dataclass(frozen=True, slots=True)
class Exclusive:
    """Of several agents only the first to speak may speak."""

    name: str
    groups: tuple[Group, ...]
    others: frozenset[str]
    span: timedelta

    def bars(self, view: View) -> Iterator[Bar]:
        """Bar what would be sent near a contact of another of the agents."""
        near = [c for c in view.contacts if c.agent in self.others]
        for group in self.groups if near else ():
            at = view.sends.get(group.slot)
            for contact in near:
                if at is not None and abs(at - contact.at) < self.span:
                    yield group.ids, f"{contact.agent} has the customer since {contact.at}"
                    break
