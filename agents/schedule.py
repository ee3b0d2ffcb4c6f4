"""When a contact would be sent: local spans, and the next instant inside one.

Conversion runs from instant to local time only, which is defined for every instant; a local time
is never turned into an instant, since it may not exist or exist twice.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from agents.spec import LocalSpan
from agents.units import zone_info

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


def within(span: LocalSpan, instant: datetime, zone: str) -> bool:
    """Say whether the instant lies in a daily span of local time; the end is exclusive.

    Example:
        >>> from datetime import UTC
        >>> night = LocalSpan.model_validate_json('{"from": "21:00", "to": "08:00"}')
        >>> within(night, datetime(2026, 7, 1, 20, 30, tzinfo=UTC), "Europe/Berlin")
        True
    """
    local = instant.astimezone(zone_info(zone)).time()
    if span.from_ < span.to:
        return span.from_ <= local < span.to
    return local >= span.from_ or local < span.to


def _ahead(local: time, target: time) -> timedelta:
    """Time from one time of day to the next occurrence of another, on a plain 24-hour clock."""
    clock = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
    clock += timedelta(microseconds=local.microsecond)
    return (timedelta(hours=target.hour, minutes=target.minute) - clock) % _DAY


def _change(low: datetime, high: datetime, rules: ZoneInfo) -> datetime:
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


def next_within(span: LocalSpan, instant: datetime, zone: str) -> datetime:
    """Return the first instant, now or later, at which the customer's local time is in the span.

    A span that a clock change skips whole on that day is reached on the next one; of a span that
    is skipped in part, the rest counts.

    Args:
        span: daily span of local time.
        instant: UTC.
        zone: IANA name.

    Returns:
        The instant (UTC), at most two days ahead.
    """
    if within(span, instant, zone):
        return instant
    rules = zone_info(zone)
    local = instant.astimezone(rules)
    candidate = instant + _ahead(local.time(), span.from_)
    if candidate.astimezone(rules).utcoffset() == local.utcoffset():
        return candidate
    return next_within(span, _change(instant, candidate, rules), zone)
