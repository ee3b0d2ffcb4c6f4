"""Calendar periods of the organisation: which one an instant belongs to.

Conversion runs from instant to local time only. Where a clock is set back, the hour that comes
twice is one period, so a limit never loosens.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import lru_cache

from agents.spec import Period
from agents.units import zone_info

_DAY = timedelta(days=1)
_LONGEST = {"hour": 1, "day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}  # days


def first_day(period: Period, day: date) -> date:
    """Return the first day of the period that a day belongs to; weeks begin on Monday.

    Example:
        >>> first_day("week", date(2026, 3, 1)).isoformat()
        '2026-02-23'
        >>> first_day("quarter", date(2026, 5, 31)).isoformat()
        '2026-04-01'
    """
    match period:
        case "week":
            return day - day.weekday() * _DAY
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=day.month - (day.month - 1) % 3, day=1)
        case "year":
            return day.replace(month=1, day=1)
        case _:
            return day


@lru_cache(4_096)  # several rules of one mask ask about the same instant
def period_number(period: Period, instant: datetime, zone: str) -> int:
    """Number the period that an instant belongs to; later periods have greater numbers.

    Days count from 0001-01-01; a longer period has its first day's number, an hour 24 a day.

    Example:
        >>> from datetime import UTC
        >>> end = datetime(2026, 3, 31, 21, 59, tzinfo=UTC)
        >>> after = period_number("month", end + timedelta(minutes=1), "Europe/Berlin")
        >>> after - period_number("month", end, "Europe/Berlin")
        31
    """
    local = instant.astimezone(zone_info(zone))
    if period == "hour":
        return local.toordinal() * 24 + local.hour
    return first_day(period, local.date()).toordinal()


def elapsed_share(period: Period, instant: datetime, zone: str) -> float:
    """Return how much of its period has gone by at an instant, in [0, 1), by the local calendar.

    Example:
        >>> from datetime import UTC
        >>> elapsed_share("week", datetime(2026, 3, 4, 12, tzinfo=UTC), "UTC")
        0.35714285714285715
    """
    local = instant.astimezone(zone_info(zone)).replace(tzinfo=None)
    if period == "hour":
        return (local.minute * 60 + local.second) / 3_600
    first = first_day(period, local.date())
    after = first_day(period, first + _LONGEST[period] * _DAY)
    gone = local - datetime.combine(first, time())
    return gone / (after - first)
