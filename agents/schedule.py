"""When a contact would be sent: local spans, and the next instant inside one.

Conversion runs from instant to local time only, which is defined for every instant; a local time
is never turned into an instant, since it may not exist or exist twice.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta

from agents.spec import LocalSpan
from agents.units import zone_info

_STEP = timedelta(minutes=15)
_DAY = timedelta(days=1)


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


def next_within(span: LocalSpan, instant: datetime, zone: str) -> datetime:
    """Return the first instant, now or later, at which the customer's local time is in the span.

    A span that a clock change skips on that day is reached on the next one.

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
    shift = candidate.astimezone(rules).utcoffset()
    before = local.utcoffset()
    if shift is not None and before is not None:
        candidate = max(instant, candidate - (shift - before))
    while not within(span, candidate, zone):
        candidate += _STEP
    return candidate
