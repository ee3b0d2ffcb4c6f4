"""When a contact is sent: the first instant that send windows and quiet hours leave open.

Spans of local time begin and end at whole minutes and repeat every week, so when a channel may
send is one string of bytes: a 1 or a 0 for each minute of the week, Monday 00:00 first.

Conversion runs from instant to local time only, which is defined for every instant; a local time
is never turned into an instant, since it may not exist or exist twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, time, timedelta, tzinfo
from functools import lru_cache

from agents.spec import WEEKDAYS, Channel, LocalSpan
from agents.units import zone_info

Slot = tuple[str, str]
"""A channel and one of its send windows, which is empty where there is none."""

Sends = Mapping[Slot, datetime | None]
"""When a contact is sent, by slot; None where only an unknown zone could tell."""

_DAY = 24 * 60  # minutes
_WEEK = 7 * _DAY
_ALWAYS = bytes([1]) * _WEEK
_STRIDE = 3 * _DAY  # no zone since 1900 changes its clock twice in so short a time
_SECOND = timedelta(seconds=1)
_HORIZON = timedelta(days=9)  # a week, and what the greatest clock change may add


def _minutes(clock: time) -> int:
    return clock.hour * 60 + clock.minute


@lru_cache(maxsize=1024)
def week_of(span: LocalSpan) -> bytes:
    """Return which minutes of a local week lie in a span; (10080,) of 1 and 0.

    A span that crosses midnight belongs to the weekday on which it begins.

    Example:
        >>> text = '{"from": "23:59", "to": "00:01", "days": ["sun"]}'
        >>> week = week_of(LocalSpan.model_validate_json(text))
        >>> [minute for minute, inside in enumerate(week) if inside]
        [0, 10079]
    """
    begin = _minutes(span.from_)
    length = (_minutes(span.to) - begin) % _DAY
    week = bytearray(_WEEK + _DAY)
    for day in span.days:
        first = WEEKDAYS.index(day) * _DAY + begin
        week[first : first + length] = _ALWAYS[:length]
    sunday = week[_WEEK:].find(0)  # minutes of Sunday's span that belong to Monday
    week[:sunday] = _ALWAYS[:sunday]
    return bytes(week[:_WEEK])


def minute_of_week(local: datetime) -> int:
    """Return which minute of its local week a local time lies in, from Monday 00:00."""
    return local.weekday() * _DAY + local.hour * 60 + local.minute


def within(span: LocalSpan, instant: datetime, zone: str) -> bool:
    """Say whether the instant lies in a span of local time; the end is exclusive.

    Example:
        >>> from datetime import UTC
        >>> night = LocalSpan.model_validate_json('{"from": "21:00", "to": "08:00"}')
        >>> within(night, datetime(2026, 7, 1, 20, 30, tzinfo=UTC), "Europe/Berlin")
        True
    """
    return bool(week_of(span)[minute_of_week(instant.astimezone(zone_info(zone)))])


def open_week(channel: Channel, window: str) -> bytes | None:
    """Return the minutes of a local week in which a channel may send, as `week_of` does.

    Quiet hours that queue are taken out of the window; those that discard are left in it, since
    what would be sent in them is barred. None where every contact is sent at once.
    """
    quiet = channel.quiet_hours
    queued = quiet is not None and quiet.on_hit == "queue"
    if not window and not queued:
        return None
    week = week_of(channel.windows[window]) if window else _ALWAYS
    return _less(week, week_of(quiet)) if quiet is not None and queued else week


@lru_cache(maxsize=1024)
def _less(week: bytes, quiet: bytes) -> bytes:
    both = int.from_bytes(week) & ~int.from_bytes(quiet)
    return both.to_bytes(_WEEK)


def next_open(week: bytes, at: datetime, zone: str) -> datetime | None:
    """Return the first instant, now or later, whose local minute is open in a week.

    A span that a clock change skips whole on one day is reached on the next one that has it; of a
    span that is skipped in part, the rest counts.

    Args:
        week: open minutes, as of `week_of`.
        at: UTC.
        zone: IANA name.

    Returns:
        The instant (UTC); None if there is none within nine days.
    """
    return _first(week, at, at.astimezone(zone_info(zone)))


def sending_at(channel: Channel, window: str, at: datetime, zone: str | None) -> datetime | None:
    """Return when a contact decided now is sent (UTC).

    None where only the unknown zone could tell, or where no instant within nine days is open.
    """
    week = open_week(channel, window)
    if week is None:
        return at
    return None if zone is None else next_open(week, at, zone)


class Timetable:
    """The sending times of many slots at once: each distinct week is searched once.

    Args:
        channels: by name.
        slots: channels and windows of the actions.

    Example:
        >>> from datetime import UTC
        >>> evening = '{"windows": {"late": {"from": "17:00", "to": "20:00"}}}'
        >>> channels = {"email": Channel.model_validate_json(evening), "sms": Channel()}
        >>> times = Timetable(channels, [("email", "late"), ("sms", "")])
        >>> sends = times.sends(datetime(2026, 3, 2, 12, tzinfo=UTC), "Europe/Berlin")
        >>> [f"{channel} {sends[channel, window]:%H:%M}" for channel, window in sends]
        ['sms 12:00', 'email 16:00']
    """

    def __init__(self, channels: Mapping[str, Channel], slots: Iterable[Slot]) -> None:
        weeks: dict[bytes | None, list[Slot]] = defaultdict(list)
        for channel, window in slots:
            weeks[open_week(channels[channel], window)].append((channel, window))
        self._at_once = tuple(weeks.pop(None, ()))
        self._weeks = tuple(
            (_Week(week), tuple(same)) for week, same in weeks.items() if week is not None
        )
        self._last: tuple[datetime | None, str | None, Sends] = (None, None, {})

    def sends(self, at: datetime, zone: str | None) -> Sends:
        """Return when a contact decided now is sent, by slot; as `sending_at` for each.

        One decision asks several times about the same instant, so the last answer is kept.
        """
        asked_at, asked_zone, answer = self._last
        if asked_at != at or asked_zone != zone:
            answer = self._search(at, zone)
            self._last = (at, zone, answer)
        return answer

    def _search(self, at: datetime, zone: str | None) -> Sends:
        sends: dict[Slot, datetime | None] = dict.fromkeys(self._at_once, at)
        for week, slots in self._weeks:
            send_at = None if zone is None else week.next_open(at, zone)
            for slot in slots:
                sends[slot] = send_at
        return sends


class _Week:
    """The open minutes of a week, with the last span in each zone in which nothing is sent.

    Where nothing is open from one instant until another, the other is the answer for all between.

    Args:
        week: as of `week_of`.
    """

    __slots__ = ("_closed", "_week")

    def __init__(self, week: bytes) -> None:
        self._week = week
        self._closed: dict[str, tuple[datetime, datetime]] = {}  # first and end, by zone

    def next_open(self, at: datetime, zone: str) -> datetime | None:
        """Return what the function of this name does."""
        closed = self._closed.get(zone)
        if closed is not None and closed[0] <= at < closed[1]:
            return closed[1]
        local = at.astimezone(zone_info(zone))
        if self._week[minute_of_week(local)]:
            return at
        opens = _first(self._week, at, local)
        if opens is not None:
            self._closed[zone] = at, opens
        return opens


def _ahead(week: bytes, minute: int) -> int:
    """Count the minutes from one minute of the week to the next open one, on a plain clock."""
    found = week.find(1, minute)
    return found - minute if found >= 0 else week.find(1) + _WEEK - minute


def _first(week: bytes, at: datetime, local: datetime) -> datetime | None:
    """Find the first open instant from `at`, whose local time is `local`.

    The clock is run ahead as if it never changed; where it did, the search goes on from there.
    """
    instant, rules, last = at, local.tzinfo, at + _HORIZON
    while 1 in week and instant <= last:
        ahead = _ahead(week, minute_of_week(local))
        if not ahead:
            return instant
        seconds = min(ahead, _STRIDE) * 60 - local.second
        target = instant + timedelta(0, seconds, -local.microsecond)
        landed = target.astimezone(rules)
        if landed.utcoffset() != local.utcoffset():
            target = _change(instant, target, rules)
            landed = target.astimezone(rules)
        elif ahead <= _STRIDE and target <= last:
            return target
        instant, local = target, landed
    return None


def _change(low: datetime, high: datetime, rules: tzinfo | None) -> datetime:
    """Find by halving the first instant after `low` whose UTC offset is not `low`'s, as `high`'s.

    Zones change at whole seconds, so the search ends at an exact instant.
    """
    before = low.astimezone(rules).utcoffset()
    while high - low > _SECOND:
        middle = low + (high - low) / 2
        if middle.astimezone(rules).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)
