"""Quiet hours: no contact is sent while it is quiet where the customer is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from agents.guardrails.base import Bar, Indices, Moment, Plain, Rulebook
from agents.schedule import Slot, minute_of_week, week_of
from agents.spec import Channel
from agents.units import zone_info


class _Timed(NamedTuple):
    """Actions that share a channel and window; `quiet` has the minutes of the week that bar."""

    slot: Slot
    actions: Indices
    quiet: bytes
    hours: str


class QuietHours(Plain):
    """Bars a channel and send window whose sending instant is quiet, or cannot be known.

    Quiet hours that queue have moved the sending instant already (`agents.schedule`), so only
    those that discard can bar. Without the customer's zone the strictest reading holds: somewhere
    on earth it is quiet.
    """

    name = "quiet_hours"

    def __init__(self, book: Rulebook) -> None:
        channels = book.workspace.channels
        slots: dict[Slot, list[int]] = defaultdict(list)
        for index in book.every():
            action = book.actions[index]
            if channels[action.channel].quiet_hours is not None or action.window:
                slots[action.channel, action.window].append(index)
        self._timed = tuple(
            _timed(slot, tuple(actions), channels[slot[0]]) for slot, actions in slots.items()
        )
        self.actions: Indices = tuple(i for timed in self._timed for i in timed.actions)

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar channel by channel and window by window."""
        if moment.zone is None:
            yield Bar(self.actions, "the customer's time zone is unknown")
            return
        minutes: dict[datetime, int] = {}
        for timed in self._timed:
            send_at = moment.sends[timed.slot]
            if send_at is None:
                yield Bar(timed.actions, "the sending instant is unknown")
            elif timed.quiet:
                minute = minutes.get(send_at)
                if minute is None:
                    local = send_at.astimezone(zone_info(moment.zone))
                    minute = minutes[send_at] = minute_of_week(local)
                if timed.quiet[minute]:
                    yield Bar(timed.actions, f"{timed.hours} in {moment.zone}")


def _timed(slot: Slot, actions: Indices, channel: Channel) -> _Timed:
    quiet = channel.quiet_hours
    if quiet is None or quiet.on_hit == "queue":
        return _Timed(slot, actions, b"", "")
    hours = f"{slot[0]} is quiet from {quiet.from_:%H:%M} to {quiet.to:%H:%M}"
    return _Timed(slot, actions, week_of(quiet), hours)
