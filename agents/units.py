"""The small typed values that documents are made of: durations, times of day, names, zones."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, PlainSerializer, StringConstraints

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_LONGEST = timedelta(days=3_660)
_FIRST_YEAR, _LAST_YEAR = 1900, 2999  # far from where adding a window or a zone overflows
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def parse_duration(text: object) -> timedelta:
    """Read an exact duration: a positive whole number and one of s, m, h, d, w.

    A day is 86,400 seconds; months are refused because they have no fixed length, and more than
    3,660 days (ten years) because no campaign lasts as long.

    Raises:
        ValueError: the text is not such a duration.

    Example:
        >>> parse_duration("7d").total_seconds()
        604800.0
    """
    if isinstance(text, timedelta):
        return text
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(
            f"expected a positive duration such as '30m', '24h' or '7d' (units s, m, h, d, w),"
            f" got {text!r}"
        )
    duration = timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
    if duration > _LONGEST:
        raise ValueError(f"expected a duration of at most {_LONGEST.days}d, got {text!r}")
    return duration


def parse_time(text: object) -> time:
    """Read a time of day written as 'HH:MM'.

    Raises:
        ValueError: the text is not a time from 00:00 to 23:59.

    Example:
        >>> parse_time("21:30").hour
        21
    """
    if isinstance(text, time):
        return text
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"expected a time of day from '00:00' to '23:59', got {text!r}")
    return time(int(match[1]), int(match[2]))


def parse_day(text: object) -> date:
    """Read a calendar day written as 'YYYY-MM-DD'.

    Raises:
        ValueError: the text is not a day of the years 1900 to 2999.

    Example:
        >>> parse_day("2028-02-29").month
        2
    """
    if isinstance(text, date) and not isinstance(text, datetime):
        return text
    try:
        day = date.fromisoformat(text) if isinstance(text, str) and _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise ValueError(
            f"expected a day such as '2026-03-31', of the years {_FIRST_YEAR} to {_LAST_YEAR},"
            f" got {text!r}"
        )
    return day


@cache
def zones() -> frozenset[str]:
    """Return the names of all IANA time zones that this machine knows."""
    return frozenset(available_timezones() - {"localtime", "posixrules", "Factory"})


def parse_zone(text: object) -> str:
    """Check the name of an IANA time zone.

    Raises:
        ValueError: no such zone is known.

    Example:
        >>> parse_zone("Europe/Berlin")
        'Europe/Berlin'
    """
    if not isinstance(text, str) or text not in zones():
        raise ValueError(f"expected an IANA time zone such as 'Europe/Berlin', got {text!r}")
    return text


@cache
def zone_info(name: str) -> ZoneInfo:
    """Return the rules of a zone whose name `parse_zone` has accepted."""
    return ZoneInfo(parse_zone(name))


def require_utc(instant: datetime) -> datetime:
    """Return the instant in UTC; refuse one without an offset.

    Raises:
        ValueError: the datetime is naive, so it names no instant, or its year in UTC is not one
            of 1900 to 2999.
    """
    if instant.tzinfo is None:
        raise ValueError(f"expected an instant with a UTC offset, got {instant.isoformat()!r}")
    try:
        utc = instant.astimezone(UTC)
    except OverflowError:
        utc = instant  # at the end of all calendars
    if not _FIRST_YEAR <= utc.year <= _LAST_YEAR:
        raise ValueError(
            f"expected an instant of the years {_FIRST_YEAR} to {_LAST_YEAR},"
            f" got {instant.isoformat()!r}"
        )
    return utc


def parse_instant(text: object) -> datetime:
    """Read an RFC 3339 instant with an offset, as UTC.

    Raises:
        ValueError: the text is not such an instant, has no offset, or is not of 1900 to 2999.

    Example:
        >>> parse_instant("2026-03-01T12:00:00+01:00").isoformat()
        '2026-03-01T11:00:00+00:00'
    """
    if isinstance(text, datetime):
        return require_utc(text)
    try:
        instant = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise ValueError(f"expected an instant such as '2026-03-01T12:00:00Z', got {text!r}")
    return require_utc(instant)


def unit_interval(digest: bytes) -> float:
    """Map a digest to [0, 1) by its first 53 bits, all that such a float can hold.

    Example:
        >>> unit_interval(bytes(8)), unit_interval(bytes([255] * 8)) < 1.0
        (0.0, True)
    """
    return (int.from_bytes(digest[:8], "big") >> 11) / 2.0**53


def describe_duration(duration: timedelta) -> str:
    """Write a duration in the largest unit that divides it.

    Example:
        >>> describe_duration(timedelta(days=14)), describe_duration(timedelta(hours=36))
        ('2w', '36h')
    """
    seconds = int(duration.total_seconds())
    unit = next(u for u in ("w", "d", "h", "m", "s") if seconds % _SECONDS[u] == 0)
    return f"{seconds // _SECONDS[unit]}{unit}"


Duration = Annotated[
    timedelta, BeforeValidator(parse_duration), PlainSerializer(describe_duration, str)
]
LocalTime = Annotated[
    time, BeforeValidator(parse_time), PlainSerializer(lambda value: f"{value:%H:%M}", str)
]
Day = Annotated[date, BeforeValidator(parse_day), PlainSerializer(lambda d: d.isoformat(), str)]
Zone = Annotated[str, BeforeValidator(parse_zone)]
NAME_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
