"""Quiet hours: no contact is sent while it is quiet where the customer is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta

from agents.guardrails.base import Bar, Indices, Moment, Rulebook
from agents.schedule import within


class QuietHours:
    """Bars a channel and send window whose sending instant is quiet, or cannot be known.

    Without the customer's zone the strictest reading holds: somewhere on earth it is quiet.
    """

    name = "quiet_hours"
    lookback = timedelta(0)

    def __init__(self, book: Rulebook) -> None:
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index in book.every():
            action = book.actions[index]
            channel = book.workspace.channels[action.channel]
            if channel.quiet_hours is not None or action.window:
                groups[action.channel, action.window].append(index)
        self._groups: dict[tuple[str, str], Indices] = {k: tuple(v) for k, v in groups.items()}
        self._channels = book.workspace.channels
        self.actions = tuple(i for indices in self._groups.values() for i in indices)

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar channel by channel and window by window."""
        if moment.zone is None:
            yield Bar(self.actions, "the customer's time zone is unknown")
            return
        for (channel, window), indices in self._groups.items():
            quiet = self._channels[channel].quiet_hours
            send_at = moment.sends[channel, window]
            if send_at is None:
                yield Bar(indices, "the sending instant is unknown")
            elif quiet is not None and within(quiet, send_at, moment.zone):
                span = f"{quiet.from_:%H:%M} to {quiet.to:%H:%M}"
                yield Bar(indices, f"{channel} is quiet from {span} in {moment.zone}")
