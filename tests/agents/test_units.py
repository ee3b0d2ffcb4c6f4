from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.units import (
    describe_duration,
    parse_duration,
    parse_instant,
    parse_time,
    parse_zone,
    require_utc,
    zone_info,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("30m", 1_800), ("24h", 86_400), ("7d", 604_800), ("2w", 1_209_600)],
)
def test_durations_are_exact_seconds(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert parse_duration(parse_duration(text)) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "7", "d", "-7d", "+7d", "0d", "07d", "7 d", "7D", "1mo", "1y", "1.5h", "7d ", "\u0667d",
     7, None, True],
)  # fmt: skip
def test_other_durations_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match="expected a positive duration such as '30m', '24h'"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["3661d", "524w", "999999w"])
def test_a_duration_no_instant_can_be_moved_by_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"expected a duration of at most 3660d, got '{text}'"):
        parse_duration(text)


def test_ten_years_are_the_longest_duration() -> None:
    assert parse_duration("3660d") == timedelta(days=3_660)
    assert parse_duration("522w") == timedelta(weeks=522)


@given(st.integers(1, 999_999), st.sampled_from("smhdw"))
def test_a_described_duration_reads_back_as_the_same(count: int, unit: str) -> None:
    try:
        duration = parse_duration(f"{count}{unit}")
    except ValueError:
        return
    assert parse_duration(describe_duration(duration)) == duration


def test_times_of_day() -> None:
    assert parse_time("00:00") == time(0)
    assert parse_time("23:59") == time(23, 59)
    assert parse_time(time(8, 30)) == time(8, 30)


@pytest.mark.parametrize(
    "text",
    ["24:00", "8:00", "08:60", "08:00:00", "0800", "-1:00", "\u0660\u0668:00", "", 480, None],
)
def test_other_times_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match="expected a time of day from '00:00' to '23:59', got"):
        parse_time(text)


@pytest.mark.parametrize(
    "name", ["Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Kiritimati", "UTC"]
)
def test_zones_of_the_database_are_known(name: str) -> None:
    assert parse_zone(name) == name
    assert zone_info(name).key == name


@pytest.mark.parametrize(
    "name",
    ["europe/berlin", "Berlin", "+01:00", "", "localtime", "Factory", "../../etc/passwd",
     "/etc/localtime", "posix/Europe/Berlin", "x" * 5_000, "Europe/Berlin\0", None, 1],
)  # fmt: skip
def test_other_zones_are_refused(name: object) -> None:
    with pytest.raises(ValueError, match="expected an IANA time zone such as 'Europe/Berlin'"):
        parse_zone(name)
    with pytest.raises(ValueError, match="expected an IANA time zone"):
        zone_info(str(name))


def test_instants_are_utc() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert parse_instant("2026-03-01T12:00:00Z") == noon
    assert parse_instant("2026-03-01T17:45:00+05:45") == noon
    assert parse_instant(noon.astimezone(timezone(timedelta(hours=-3)))).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    ["2026-03-01T12:00:00", "2026-03-01", "2026-02-30T12:00:00Z", "yesterday", "", 1_772_366_400,
     None],
)  # fmt: skip
def test_other_instants_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match="expected an instant such as '2026-03-01T12:00:00Z'"):
        parse_instant(text)


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+14:00", "1899-12-31T23:59:59Z", "3000-01-01T00:00:00Z",
             "9999-12-31T23:00:00Z", "9999-12-31T23:00:00-12:00", "1900-01-01T00:00:00+01:00",
             "2999-12-31T23:59:59-01:00"],
)  # fmt: skip
def test_an_instant_at_the_end_of_all_calendars_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected an instant of the years 1900 to 2999, got"):
        parse_instant(text)


def test_a_datetime_without_offset_is_no_instant() -> None:
    with pytest.raises(ValueError, match="expected an instant with a UTC offset, got '2026-03-01"):
        require_utc(datetime.fromisoformat("2026-03-01"))
