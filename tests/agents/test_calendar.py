from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.calendar import elapsed_share, first_day, period_number
from agents.spec import Period

PERIODS: tuple[Period, ...] = get_args(Period)
LONGER: tuple[Period, ...] = PERIODS[1:]
ZONES = [
    "UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu",
    "Pacific/Apia", "Pacific/Kiritimati", "America/Sao_Paulo",
]  # fmt: skip
DAY_ONE = datetime(2000, 1, 1, tzinfo=UTC)
instants = st.integers(-99 * 365 * 86_400, 900 * 365 * 86_400).map(
    lambda seconds: DAY_ONE + timedelta(seconds=seconds)
)
near = st.integers(0, 40 * 365 * 1_440).map(lambda minutes: DAY_ONE + timedelta(minutes=minutes))


def local(text: str, zone: str = "Europe/Berlin") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("period", "last", "first"),
    [
        ("hour", "2026-03-29T01:59:59", "2026-03-29T03:00"),  # spring: an hour is left out
        ("day", "2026-03-28T23:59:59", "2026-03-29T00:00"),
        ("day", "2028-02-28T23:59:59", "2028-02-29T00:00"),
        ("week", "2026-01-04T23:59:59", "2026-01-05T00:00"),  # a Sunday and a Monday
        ("month", "2028-02-29T23:59:59", "2028-03-01T00:00"),
        ("month", "2026-02-28T23:59:59", "2026-03-01T00:00"),
        ("quarter", "2026-06-30T23:59:59", "2026-07-01T00:00"),
        ("year", "2026-12-31T23:59:59", "2027-01-01T00:00"),
    ],
)
def test_where_one_period_ends_the_next_begins(period: Period, last: str, first: str) -> None:
    ending = period_number(period, local(last), "Europe/Berlin")
    assert period_number(period, local(first), "Europe/Berlin") > ending
    assert elapsed_share(period, local(first), "Europe/Berlin") == 0.0
    assert elapsed_share(period, local(last), "Europe/Berlin") > 0.99


def test_a_week_at_the_turn_of_the_year_is_one_week() -> None:
    numbers = {
        period_number("week", local(f"{day}T12:00"), "Europe/Berlin")
        for day in ("2025-12-29", "2025-12-31", "2026-01-01", "2026-01-04")
    }
    assert len(numbers) == 1


def test_the_hour_that_comes_twice_is_one_hour() -> None:
    twice = [datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1)]
    assert len({period_number("hour", instant, "Europe/Berlin") for instant in twice}) == 1


def test_a_day_of_25_hours_is_one_day() -> None:
    first = local("2026-10-25T00:00")
    days = [
        period_number("day", first + timedelta(hours=h), "Europe/Berlin") for h in (-1, 0, 24, 25)
    ]
    assert [day - days[1] for day in days] == [-1, 0, 0, 1]


@given(st.sampled_from(LONGER), st.dates(date(1900, 1, 1), date(2999, 12, 31)))
def test_a_day_lies_in_the_period_of_its_first_day(period: Period, day: date) -> None:
    first = first_day(period, day)
    assert first <= day
    assert first_day(period, first) == first
    # No day between them begins another period, and no period is longer than its kind.
    longest = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}[period]
    assert (day - first).days < longest
    assert first_day(period, first + (day - first) // 2) == first


@given(st.sampled_from(PERIODS), instants, instants, st.sampled_from(ZONES))
def test_numbers_never_fall_as_the_clock_on_the_wall_goes_on(
    period: Period, one: datetime, two: datetime, zone: str
) -> None:
    walls = sorted([one, two], key=lambda i: i.astimezone(ZoneInfo(zone)).replace(tzinfo=None))
    earlier, later = (period_number(period, instant, zone) for instant in walls)
    assert earlier <= later


@given(st.sampled_from(PERIODS), near, st.integers(0, 7_200), st.sampled_from(ZONES))
def test_numbers_rise_with_time_but_for_clocks_that_are_set_back(
    period: Period, instant: datetime, minutes: int, zone: str
) -> None:
    """A clock is set back by two hours at most there, over midnight even: a day of slack holds."""
    later = instant + timedelta(days=1, minutes=minutes)
    assert period_number(period, instant, zone) <= period_number(period, later, zone)


@given(st.sampled_from(PERIODS), instants, st.sampled_from(ZONES))
def test_the_elapsed_share_is_a_share_and_grows_within_a_period(
    period: Period, instant: datetime, zone: str
) -> None:
    share = elapsed_share(period, instant, zone)
    assert 0.0 <= share < 1.0
    later = instant + timedelta(seconds=1)
    rules = ZoneInfo(zone)
    same = period_number(period, instant, zone) == period_number(period, later, zone)
    if same and instant.astimezone(rules).utcoffset() == later.astimezone(rules).utcoffset():
        assert elapsed_share(period, later, zone) > share


@pytest.mark.parametrize(
    ("period", "text", "share"),
    [
        ("hour", "2026-03-04T12:15", 0.25),
        ("day", "2026-03-04T12:00", 0.5),
        ("week", "2026-03-04T12:00", 2.5 / 7),
        ("month", "2028-02-15T12:00", 14.5 / 29),
        ("quarter", "2026-02-15T00:00", 45 / 90),
        ("year", "2028-07-01T00:00", 182 / 366),
    ],
)
def test_the_elapsed_share_of_each_period(period: Period, text: str, share: float) -> None:
    assert elapsed_share(period, local(text), "Europe/Berlin") == pytest.approx(share, rel=1e-12)
