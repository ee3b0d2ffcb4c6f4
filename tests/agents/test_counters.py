from __future__ import annotations

from collections import Counter as Tally
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.counters import Counter
from agents.spec import Period

START = datetime(2026, 3, 1, tzinfo=UTC)


def counter(per: Period | timedelta | None, zone: str = "UTC") -> Counter:
    return Counter("c", "contacts", (1,), per, zone=zone)


spans = st.integers(1, 86_400 * 400).map(lambda seconds: timedelta(seconds=seconds)) | st.integers(
    1, 200
).map(lambda seconds: timedelta(seconds=seconds))


@given(spans, st.lists(st.floats(-2.5, 2.5), max_size=20), st.floats(-1, 1), st.floats(0, 1))
def test_a_rolling_reading_never_counts_too_little(
    per: timedelta, places: list[float], where: float, begin: float
) -> None:
    """Whatever span of `per` holds the candidate, it holds no more than was read."""
    rolling, now = counter(per), START + where * per
    charged = [START + place * per for place in places]
    buckets = Tally(rolling.bucket(instant) for instant in charged)
    reading = rolling.reading(now)
    read = sum(n for bucket, n in buckets.items() if reading.first <= bucket <= reading.last)
    first = now - begin * per
    assert read >= sum(first <= instant < first + per for instant in charged)
    assert read >= sum(abs(instant - now) <= per for instant in charged)
    # Nor too much: what lies two buckets beyond the span on either side is left out.
    slack = 2 * per / 60 + timedelta(microseconds=240)
    assert read <= sum(abs(instant - now) <= per + slack for instant in charged)


@given(spans, st.integers(0, 10**12), st.integers(0, 10**12))
def test_readings_with_one_key_are_one_reading(per: timedelta, one: int, two: int) -> None:
    """The usage of a context is kept by key, so a key must not stand for two widths."""
    rolling = counter(per)
    readings = [rolling.reading(START + timedelta(microseconds=at % 10**9)) for at in (one, two)]
    if readings[0].key == readings[1].key:
        assert readings[0] == readings[1]


def test_a_span_that_sixty_does_not_divide_keeps_its_key() -> None:
    """Ten seconds are 60 buckets of 166,667 microseconds, which are a little more."""
    rolling = counter(timedelta(seconds=10))
    readings = {rolling.reading(START + timedelta(milliseconds=i)) for i in range(2_000)}
    assert len({reading.key for reading in readings}) == len(readings)
    assert rolling.key(START) == rolling.reading(START).key
    assert {reading.last - reading.first for reading in readings} == {120}


@pytest.mark.parametrize("seconds", [2, 5, 8])
def test_a_width_is_rounded_up_so_that_the_far_end_is_read(seconds: int) -> None:
    """A sixtieth of 2 s is 33,333.3 microseconds: 120 buckets of 33,333 would fall short."""
    per = timedelta(seconds=seconds)
    rolling = counter(per)
    for step in range(0, seconds * 16_667, 7):
        now = START + timedelta(microseconds=step)
        assert rolling.bucket(now + per) <= rolling.reading(now).last


@pytest.mark.parametrize("period", ["hour", "day", "week", "month", "quarter", "year"])
def test_a_calendar_reading_is_the_bucket_that_is_charged(period: Period) -> None:
    monthly = counter(period, "Asia/Kathmandu")
    reading = monthly.reading(START)
    assert (reading.first, reading.last) == (monthly.bucket(START), monthly.bucket(START))
    assert reading.key == monthly.key(START) == f"c@{reading.first}"


def test_buckets_of_calendar_periods_follow_the_workspaces_zone() -> None:
    late = datetime(2026, 3, 31, 22, 30, tzinfo=UTC)  # already April in Berlin
    assert counter("month").bucket(late) < counter("month", "Europe/Berlin").bucket(late)


def test_a_whole_life_is_one_bucket() -> None:
    forever = counter(None)
    far = START + timedelta(days=40_000)
    assert {forever.bucket(START), forever.bucket(far)} == {0}
    assert forever.reading(START) == forever.reading(far) == ("c", 0, 0)
    assert forever.key(far) == "c@0"


@given(spans, st.integers(-(10**15), 10**16))
def test_a_bucket_is_never_behind_the_one_before(per: timedelta, microseconds: int) -> None:
    rolling, instant = counter(per), START + timedelta(microseconds=microseconds)
    assert rolling.bucket(instant) <= rolling.bucket(instant + timedelta(microseconds=1))
    assert rolling.bucket(instant + per) - rolling.bucket(instant) in (59, 60)
