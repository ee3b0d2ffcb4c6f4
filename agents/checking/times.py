"""Durations, calendar periods and local time, as the checker understands them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_AHEAD = 16  # days; a weekly window that a clock change skips comes again a week later
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = {"month": 1, "quarter": 3, "year": 12}

Per = str | timedelta | None
"""A calendar period by name, an exact rolling span, or the whole life."""


def duration(text: str) -> timedelta:
    """Read an exact duration.

    Example:
        >>> duration("36h") == timedelta(days=1.5)
        True
    """
    return timedelta(seconds=int(text[:-1]) * _SECONDS[text[-1]])


def span_or_period(text: str) -> str | timedelta:
    """Read a rolling span such as 7d, or a calendar period such as week."""
    return duration(text) if text[0].isdigit() else text


def normal(text: str) -> str:
    """Write an exact duration in the largest unit that divides it; leave a period as it is.

    Example:
        >>> normal("48h"), normal("90m"), normal("week")
        ('2d', '90m', 'week')
    """
    if not text[0].isdigit():
        return text
    seconds = int(duration(text).total_seconds())
    unit, size = next((u, s) for u, s in reversed(_SECONDS.items()) if seconds % s == 0)
    return f"{seconds // size}{unit}"


@cache
def zone_of(name: object) -> ZoneInfo | None:
    """Return the rules of a time zone, None if it is unknown."""
    try:
        return ZoneInfo(name) if isinstance(name, str) else None
    except (ZoneInfoNotFoundError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Span:
    """A daily span of local time in minutes after midnight, the end exclusive.

    Args:
        days: weekdays on which it begins, Monday 0.
    """

    start: int
    end: int
    days: frozenset[int]

    def holds(self, local: datetime) -> bool:
        """Say whether a local time lies in it.

        Example:
            >>> night = read_span({"from": "21:00", "to": "08:00", "days": ["mon"]})
            >>> night.holds(datetime(2026, 3, 3, 7, 59)), night.holds(datetime(2026, 3, 2, 7, 59))
            (True, False)
        """
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.start < self.end:
            return self.start <= minute < self.end and day in self.days
        return (minute >= self.start and day in self.days) or (
            minute < self.end and (day - 1) % 7 in self.days
        )


def read_span(raw: dict[str, object]) -> Span:
    """Read a span from its document."""
    start, end = (int(str(raw[k])[:2]) * 60 + int(str(raw[k])[3:]) for k in ("from", "to"))
    days = raw.get("days") or _DAYS
    assert isinstance(days, (list, tuple))
    return Span(start, end, frozenset(_DAYS.index(day) for day in days))


def first_open(
    at: datetime, zone: ZoneInfo, window: Span | None, quiet: Span | None
) -> datetime | None:
    """Return the first instant, now or later, inside a window and outside a quiet span.

    What is open changes only where the local clock passes an end of a span, or jumps; so it is
    enough to look at those instants.

    Returns:
        The instant (UTC); None if there is none within 16 days.
    """

    def opened(instant: datetime) -> bool:
        local = instant.astimezone(zone)
        return (window is None or window.holds(local)) and not (quiet and quiet.holds(local))

    if opened(at):
        return at
    ends = tuple(sorted({e for s in (window, quiet) if s is not None for e in (s.start, s.end)}))
    edges = _edges(zone, at.date(), ends)
    later = islice(edges, bisect_right(edges, at), None)
    return next((edge for edge in later if opened(edge)), None)


@lru_cache(maxsize=4_096)
def _edges(zone: ZoneInfo, day: date, ends: tuple[int, ...]) -> tuple[datetime, ...]:
    """List the instants around a day at which the local clock shows an end, or jumps."""
    edges: set[datetime] = set()
    for offset in range(-1, _AHEAD):
        midnight = datetime.combine(day + offset * _DAY, time())
        for minute in ends:
            local = midnight + timedelta(minutes=minute)
            edges |= {local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
        jump = _jump(zone, midnight.replace(tzinfo=UTC))
        if jump is not None:
            edges.add(jump)
    return tuple(sorted(edges))


def _jump(zone: ZoneInfo, low: datetime) -> datetime | None:
    """Find the instant of a UTC day at which a zone's offset changes."""
    high, before = low + _DAY, low.astimezone(zone).utcoffset()
    if high.astimezone(zone).utcoffset() == before:
        return None
    while high - low > _SECOND:
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def bucket(per: Per, at: datetime, zone: ZoneInfo) -> int:
    """Number the calendar period, or the sixtieth of a rolling span, that an instant is in.

    Example:
        >>> berlin = ZoneInfo("Europe/Berlin")
        >>> date.fromordinal(bucket("quarter", datetime(2026, 6, 30, 22, tzinfo=UTC), berlin))
        datetime.date(2026, 7, 1)
    """
    if per is None:
        return 0
    if isinstance(per, timedelta):
        return (at - _EPOCH) // -(-per // 60)  # rounded up to a microsecond
    local = at.astimezone(zone)
    day = local.date()
    if per == "hour":
        return day.toordinal() * 24 + local.hour
    return _start(per, day).toordinal()


def _start(period: str, day: date) -> date:
    if period == "week":
        year, week, _ = day.isocalendar()
        return date.fromisocalendar(year, week, 1)
    if period in _MONTHS:
        months = _MONTHS[period]
        return date(day.year, (day.month - 1) // months * months + 1, 1)
    return day


def gone(period: str, at: datetime, zone: ZoneInfo) -> float:
    """Return the share of its calendar period that has gone by at an instant, by local clocks.

    Example:
        >>> gone("month", datetime(2026, 2, 15, tzinfo=UTC), ZoneInfo("UTC"))
        0.5
    """
    local = at.astimezone(zone).replace(tzinfo=None)
    if period == "hour":
        return (local.minute * 60 + local.second) / 3_600
    first = _start(period, local.date())
    after = first + _DAY
    while _start(period, after) == first:
        after += timedelta(days=1)
    return (local - datetime.combine(first, time())) / (after - first)
