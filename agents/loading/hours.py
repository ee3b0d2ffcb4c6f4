"""Send windows that a channel's quiet hours cover whole: nothing could ever be sent in them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time

from agents.loading.faults import Fault
from agents.spec import WEEKDAYS, Channel, LocalSpan, Workspace

_DAY = 24 * 60
_WEEK = 7 * _DAY


def hours_faults(workspace: Workspace) -> Iterator[Fault]:
    """Yield the windows of a workspace's channels in which it is always quiet."""
    for name, channel in workspace.channels.items():
        for window in _silent(channel):
            quiet = f"channels.{name}.quiet_hours"
            message = f"{quiet} covers this window whole, so nothing could ever be sent in it"
            yield ("channels", name, "windows", window), message


def _silent(channel: Channel) -> Iterator[str]:
    if channel.quiet_hours is None:
        return
    quiet = minutes(channel.quiet_hours)
    for name, window in channel.windows.items():
        if minutes(window) <= quiet:
            yield name


def minutes(span: LocalSpan) -> frozenset[int]:
    """List the minutes of the week that a span covers; Monday 00:00 is 0.

    Example:
        >>> from agents.spec import LocalSpan
        >>> night = LocalSpan(from_=time(23, 59), to=time(0, 1), days=("sun",))
        >>> sorted(minutes(night))
        [0, 10079]
    """
    begin, end = _minute(span.from_), _minute(span.to)
    length = (end - begin) % _DAY
    return frozenset(
        (WEEKDAYS.index(day) * _DAY + begin + step) % _WEEK
        for day in span.days
        for step in range(length)
    )


def _minute(at: time) -> int:
    return at.hour * 60 + at.minute
