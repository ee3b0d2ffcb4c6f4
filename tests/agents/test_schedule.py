from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.schedule import Timetable, next_open, sending_at, week_of, within
from agents.spec import WEEKDAYS, Channel, LocalSpan

MINUTE = timedelta(minutes=1)
# Zones with a clock change near the instant: by an hour, half an hour, two hours, a whole day.
CHANGES = [
    ("Europe/Berlin", "2026-03-29T01:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00Z"),
    ("America/New_York", "2026-03-08T07:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30Z"),
    ("Antarctica/Troll", "2026-03-29T01:00Z"),
    ("Asia/Pyongyang", "2018-05-04T15:00Z"),
    ("Asia/Kathmandu", "1985-12-31T18:30Z"),
    ("Pacific/Apia", "2011-12-30T10:00Z"),
    ("Pacific/Kwajalein", "1993-08-21T12:00Z"),
]
ZONES = sorted({zone for zone, _ in CHANGES} | {"Pacific/Kiritimati", "Asia/Kolkata", "UTC"})


def span(begin: str, end: str) -> LocalSpan:
    return LocalSpan.model_validate(
        {"from": time.fromisoformat(begin), "to": time.fromisoformat(end)}
    )


def next_within(daily: LocalSpan, now: datetime, zone: str) -> datetime:
    found = next_open(week_of(daily), now, zone)
    assert found is not None
    return found


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("begin", "end", "local", "inside"),
    [
        ("08:00", "12:00", "08:00:00", True),
        ("08:00", "12:00", "07:59:59.999999", False),
        ("08:00", "12:00", "11:59:59.999999", True),
        ("08:00", "12:00", "12:00:00", False),
        ("21:00", "08:00", "21:00:00", True),
        ("21:00", "08:00", "23:59:59.999999", True),
        ("21:00", "08:00", "00:00:00", True),
        ("21:00", "08:00", "07:59:59.999999", True),
        ("21:00", "08:00", "08:00:00", False),
        ("21:00", "08:00", "20:59:59.999999", False),
        ("00:00", "23:59", "23:59:00", False),
    ],
)
def test_a_span_includes_its_beginning_and_not_its_end(
    begin: str, end: str, local: str, inside: bool
) -> None:
    instant = at(f"2026-01-14T{local}+01:00")
    assert within(span(begin, end), instant, "Europe/Berlin") is inside


@pytest.mark.parametrize(
    ("zone", "text", "inside"),
    [
        ("Asia/Kathmandu", "2026-06-01T15:15Z", True),  # 21:00 at +05:45
        ("Asia/Kathmandu", "2026-06-01T15:14:59Z", False),
        ("Pacific/Kiritimati", "2026-06-01T07:00Z", True),  # 21:00 at +14
        ("Pacific/Kiritimati", "2026-06-01T06:59:59Z", False),
        ("Australia/Lord_Howe", "2026-01-14T10:00Z", True),  # 21:00 at +11, summer
        ("Australia/Lord_Howe", "2026-06-01T10:29:59Z", False),  # 20:59:59 at +10:30, winter
        ("Pacific/Apia", "2011-12-30T07:00Z", True),  # 21:00 at -10, before the date line moved
        ("Pacific/Apia", "2011-12-31T07:00Z", True),  # 21:00 at +14, after it
    ],
)
def test_local_time_is_the_zones_own(zone: str, text: str, inside: bool) -> None:
    assert within(span("21:00", "08:00"), at(text), zone) is inside


@pytest.mark.parametrize(
    ("zone", "noon_before", "begin", "end", "minutes"),
    [
        ("Europe/Berlin", date(2026, 1, 14), "22:00", "08:00", 600),
        ("Europe/Berlin", date(2026, 3, 28), "22:00", "08:00", 540),  # spring gap
        ("Europe/Berlin", date(2026, 10, 24), "22:00", "08:00", 660),  # autumn fold
        ("Europe/Berlin", date(2026, 3, 28), "02:00", "03:00", 0),
        ("Europe/Berlin", date(2026, 10, 24), "02:00", "03:00", 120),
        ("Australia/Lord_Howe", date(2026, 10, 3), "22:00", "08:00", 570),
        ("Australia/Lord_Howe", date(2026, 4, 4), "22:00", "08:00", 630),
        ("Australia/Lord_Howe", date(2026, 10, 3), "02:00", "02:30", 0),
        ("Australia/Lord_Howe", date(2026, 4, 4), "01:30", "02:00", 60),
    ],
)
def test_a_night_with_a_clock_change_is_as_long_as_the_clock_says(
    zone: str, noon_before: date, begin: str, end: str, minutes: int
) -> None:
    rules = ZoneInfo(zone)
    first = datetime.combine(noon_before, time(12), rules).astimezone(UTC)
    last = datetime.combine(noon_before + timedelta(days=1), time(12), rules).astimezone(UTC)
    night = span(begin, end)
    steps = range((last - first) // MINUTE)
    assert sum(within(night, first + step * MINUTE, zone) for step in steps) == minutes


@pytest.mark.parametrize(
    ("zone", "now", "begin", "end", "expected"),
    [
        ("Europe/Berlin", "2026-01-14T09:00:00.5Z", "08:00", "12:00", "2026-01-14T09:00:00.5Z"),
        ("Europe/Berlin", "2026-01-14T11:00Z", "08:00", "12:00", "2026-01-15T07:00Z"),
        ("Europe/Berlin", "2026-01-14T19:59:59.9Z", "21:00", "08:00", "2026-01-14T20:00Z"),
        # Spring, 02:00 to 03:00 does not exist: a span inside it waits for the next day,
        ("Europe/Berlin", "2026-03-29T00:50Z", "02:30", "02:35", "2026-03-30T00:30Z"),
        ("Europe/Berlin", "2026-03-28T23:07:11.3Z", "02:30", "02:31", "2026-03-30T00:30Z"),
        # one that reaches out of it begins at the change, one behind it is an hour nearer.
        ("Europe/Berlin", "2026-03-28T23:00Z", "02:30", "03:30", "2026-03-29T01:00Z"),
        ("Europe/Berlin", "2026-03-28T23:00Z", "08:00", "12:00", "2026-03-29T06:00Z"),
        # Autumn, 02:00 to 03:00 comes twice: the first time, and again if that has passed.
        ("Europe/Berlin", "2026-10-24T22:00Z", "02:30", "02:45", "2026-10-25T00:30Z"),
        ("Europe/Berlin", "2026-10-25T00:50Z", "02:30", "02:45", "2026-10-25T01:30Z"),
        ("Europe/Berlin", "2026-10-24T22:00Z", "08:00", "12:00", "2026-10-25T07:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T15:00Z", "02:10", "02:40", "2026-10-03T15:30Z"),
        ("Australia/Lord_Howe", "2026-10-03T15:00Z", "02:05", "02:10", "2026-10-04T15:05Z"),
        ("Asia/Kathmandu", "2026-06-01T00:00Z", "08:00", "12:00", "2026-06-01T02:15Z"),
        ("Pacific/Kiritimati", "2026-06-01T00:00Z", "08:00", "12:00", "2026-06-01T18:00Z"),
        # Apia had no 30 December 2011: after the 29th at 19:00 comes the 31st at 08:00.
        ("Pacific/Apia", "2011-12-30T05:07Z", "08:00", "08:05", "2011-12-30T18:00Z"),
    ],
)
def test_the_next_instant_in_a_span(
    zone: str, now: str, begin: str, end: str, expected: str
) -> None:
    assert next_within(span(begin, end), at(now), zone) == at(expected)


def check_next(daily: LocalSpan, now: datetime, zone: str) -> None:
    """Compare with a walk through every minute, which is all that a clock of minutes can show."""
    found = next_within(daily, now, zone)
    assert now <= found <= now + timedelta(days=2)
    assert within(daily, found, zone)
    for step in range((found - now) // MINUTE):
        assert not within(daily, now + step * MINUTE, zone)


spans = st.builds(
    lambda begin, length: LocalSpan.model_validate(
        {
            "from": time(begin // 60, begin % 60),
            "to": time((begin + length) % 1440 // 60, (begin + length) % 60),
        }
    ),
    st.integers(0, 1439),
    st.integers(1, 1439),
)


@given(spans, st.integers(0, 37 * 365 * 1440), st.sampled_from(ZONES))
def test_the_next_instant_is_the_first_in_any_zone(
    daily: LocalSpan, minute: int, zone: str
) -> None:
    check_next(daily, datetime(2000, 1, 1, tzinfo=UTC) + minute * MINUTE, zone)


@given(spans, st.integers(-2880, 1440), st.sampled_from(CHANGES))
def test_the_next_instant_is_the_first_around_a_clock_change(
    daily: LocalSpan, minutes: int, change: tuple[str, str]
) -> None:
    check_next(daily, at(change[1]) + minutes * MINUTE, change[0])


@given(spans, st.integers(-86_400_000_000, 0), st.sampled_from(CHANGES))
def test_fractions_of_a_second_are_kept_out_of_the_answer(
    daily: LocalSpan, microseconds: int, change: tuple[str, str]
) -> None:
    now = at(change[1]) + timedelta(microseconds=microseconds)
    found = next_within(daily, now, change[0])
    assert now <= found <= now + timedelta(days=2)
    assert within(daily, found, change[0])
    assert found == now or (found.second, found.microsecond) == (0, 0)


@pytest.mark.parametrize(("zone", "text"), CHANGES)
def test_the_clock_does_change_there(zone: str, text: str) -> None:
    rules = ZoneInfo(zone)
    offsets = {(at(text) + day).astimezone(rules).utcoffset() for day in (-MINUTE, 0 * MINUTE)}
    assert len(offsets) == 2


WEEK = [
    # Monday night covers Tuesday morning, and neither Monday morning nor Tuesday night.
    ("21:00", "08:00", ["mon"], "2026-01-12T20:59:59+01:00", False),
    ("21:00", "08:00", ["mon"], "2026-01-12T07:00:00+01:00", False),
    ("21:00", "08:00", ["mon"], "2026-01-12T21:00:00+01:00", True),
    ("21:00", "08:00", ["mon"], "2026-01-13T07:59:59+01:00", True),
    ("21:00", "08:00", ["mon"], "2026-01-13T21:00:00+01:00", False),
    # Sunday night covers Monday morning, over the end of the week and of the year.
    ("22:00", "06:00", ["sun"], "2026-01-12T05:59:59+01:00", True),
    ("22:00", "06:00", ["sun"], "2026-01-12T06:00:00+01:00", False),
    ("22:00", "06:00", ["thu"], "2027-01-01T00:00:00+01:00", True),
    ("09:00", "17:00", ["tue"], "2028-02-29T09:00:00+01:00", True),
    ("09:00", "17:00", ["wed"], "2028-02-29T09:00:00+01:00", False),
    ("00:00", "08:00", ["sat", "sun"], "2026-01-17T00:00:00+01:00", True),
    ("00:00", "08:00", ["sat", "sun"], "2026-01-16T23:59:59+01:00", False),
]


@pytest.mark.parametrize(("begin", "end", "days", "local", "inside"), WEEK)
def test_a_span_belongs_to_the_weekday_on_which_it_begins(
    begin: str, end: str, days: list[str], local: str, inside: bool
) -> None:
    daily = LocalSpan.model_validate_json(_json(begin, end, days))
    assert within(daily, at(local), "Europe/Berlin") is inside


def _json(begin: str, end: str, days: list[str]) -> str:
    return json.dumps({"from": begin, "to": end, "days": days})


def channel(quiet: LocalSpan | None, on_hit: str, window: LocalSpan | None) -> Channel:
    document: dict[str, object] = {}
    if quiet is not None:
        document["quiet_hours"] = quiet.model_dump(mode="json", by_alias=True) | {"on_hit": on_hit}
    if window is not None:
        document["windows"] = {"slot": window.model_dump(mode="json", by_alias=True)}
    return Channel.model_validate_json(json.dumps(document))


NIGHT = span("21:00", "08:00")


@pytest.mark.parametrize(
    ("window", "now", "expected"),
    [
        (None, "2026-01-14T20:59:59.5+01:00", "2026-01-14T20:59:59.5+01:00"),
        (None, "2026-01-14T21:00+01:00", "2026-01-15T08:00+01:00"),
        (None, "2026-01-15T07:59:59.9+01:00", "2026-01-15T08:00+01:00"),
        (None, "2026-03-28T22:00+01:00", "2026-03-29T08:00+02:00"),
        (None, "2026-10-24T22:00+02:00", "2026-10-25T08:00+01:00"),
        (span("07:00", "09:00"), "2026-01-14T06:00+01:00", "2026-01-14T08:00+01:00"),
        (span("07:00", "09:00"), "2026-01-14T09:00+01:00", "2026-01-15T08:00+01:00"),
        (span("20:00", "23:00"), "2026-01-14T21:30+01:00", "2026-01-15T20:00+01:00"),
        (span("22:00", "07:00"), "2026-01-14T12:00+01:00", None),  # quiet whenever it is open
    ],
)
def test_quiet_hours_that_queue_move_the_sending_instant(
    window: LocalSpan | None, now: str, expected: str | None
) -> None:
    found = sending_at(
        channel(NIGHT, "queue", window), "slot" if window else "", at(now), "Europe/Berlin"
    )
    assert found == (None if expected is None else at(expected))


def test_quiet_hours_that_discard_leave_the_sending_instant() -> None:
    now = at("2026-01-14T22:00+01:00")
    assert sending_at(channel(NIGHT, "discard", None), "", now, "Europe/Berlin") == now
    assert sending_at(channel(NIGHT, "discard", None), "", now, None) == now
    early = channel(NIGHT, "discard", span("06:00", "09:00"))
    assert sending_at(early, "slot", now, "Europe/Berlin") == at("2026-01-15T06:00+01:00")


def test_without_a_zone_no_window_and_no_queue_has_an_instant() -> None:
    now = at("2026-01-14T12:00Z")
    assert sending_at(channel(NIGHT, "queue", None), "", now, None) is None
    assert sending_at(channel(None, "", NIGHT), "slot", now, None) is None
    assert sending_at(channel(None, "", None), "", now, None) == now


def test_a_weekly_window_that_the_spring_gap_swallows_is_too_far_away() -> None:
    gap = LocalSpan.model_validate_json(_json("02:00", "03:00", ["sun"]))
    berlin = "Europe/Berlin"
    week = week_of(gap)
    assert next_open(week, at("2026-03-22T01:30Z"), berlin) == at("2026-03-22T01:30Z")
    assert next_open(week, at("2026-03-22T02:00Z"), berlin) is None  # after two weeks
    assert next_open(week, at("2026-03-27T00:00Z"), berlin) == at("2026-04-05T00:00Z")  # 9 days
    assert next_open(week, at("2026-03-26T23:59:59Z"), berlin) is None
    assert next_open(bytes(10_080), at("2026-03-22T02:00Z"), berlin) is None


def test_a_clock_that_changes_there_and_back_within_a_week() -> None:
    """Recife went on summer time on 8 October 2000 and gave it up on the 15th, at midnight."""
    late = week_of(LocalSpan.model_validate_json(_json("23:30", "23:35", ["sat"])))
    now = at("2000-10-08T02:40Z")  # Saturday 23:40, ten minutes too late
    assert next_open(late, now, "America/Recife") == at("2000-10-15T01:30Z")


weekly = st.builds(
    lambda daily, days: daily.model_copy(update={"days": tuple(days)}),
    spans,
    st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=7, unique=True),
)
TWICE = [  # clocks that change twice within a week, there and back
    ("America/Recife", "2000-10-08T03:00Z"),
    ("Asia/Gaza", "2040-10-20T00:00Z"),
    ("America/St_Johns", "2006-10-29T02:31Z"),  # at 00:01, back over midnight
    ("America/Sao_Paulo", "2018-11-04T03:00Z"),  # a day that begins at 01:00
]


def inside(daily: LocalSpan, local: datetime) -> bool:
    """What a span means, in the fewest words."""
    clock, day = local.time(), local.weekday()
    if daily.from_ < daily.to:
        return daily.from_ <= clock < daily.to and WEEKDAYS[day] in daily.days
    if clock >= daily.from_:
        return WEEKDAYS[day] in daily.days
    return clock < daily.to and WEEKDAYS[day - 1] in daily.days


@settings(max_examples=30)
@given(
    st.none() | weekly, st.sampled_from(["queue", "discard"]), st.none() | weekly,
    st.integers(-8 * 1440, 1440), st.sampled_from(CHANGES + TWICE),
)  # fmt: skip
def test_the_sending_instant_is_the_first_that_the_clock_on_the_wall_allows(
    quiet: LocalSpan | None, on_hit: str, window: LocalSpan | None, minutes: int,
    change: tuple[str, str],
) -> None:  # fmt: skip
    zone, now = change[0], at(change[1]) + minutes * MINUTE
    reach = channel(quiet, on_hit, window)
    slot = (("ch", "slot" if window else ""),)
    found = sending_at(reach, slot[0][1], now, zone)
    assert Timetable({"ch": reach}, slot).sends(now, zone) == {slot[0]: found}
    rules = ZoneInfo(zone)
    for step in range(9 * 1440 + 1):
        instant = now + step * MINUTE
        local = instant.astimezone(rules)
        silent = quiet is not None and on_hit == "queue" and inside(quiet, local)
        if (window is None or inside(window, local)) and not silent:
            assert found == instant
            return
    assert found is None


@given(weekly, st.integers(0, 40 * 365 * 1440), st.sampled_from(ZONES))
def test_a_week_of_minutes_says_what_the_span_says(
    daily: LocalSpan, minute: int, zone: str
) -> None:
    instant = datetime(2000, 1, 1, tzinfo=UTC) + minute * MINUTE + timedelta(seconds=59.999)
    assert within(daily, instant, zone) is inside(daily, instant.astimezone(ZoneInfo(zone)))


@given(st.lists(st.tuples(st.none() | weekly, st.none() | weekly), min_size=1, max_size=4),
       st.integers(0, 30 * 365 * 1440), st.sampled_from([None, *ZONES]))  # fmt: skip
def test_a_timetable_is_the_sending_instant_of_each_slot(
    parts: list[tuple[LocalSpan | None, LocalSpan | None]], minute: int, zone: str | None
) -> None:
    now = datetime(2000, 1, 1, tzinfo=UTC) + minute * MINUTE
    channels = {f"c{i}": channel(quiet, "queue", window) for i, (quiet, window) in enumerate(parts)}
    slots = [(name, next(iter(reach.windows), "")) for name, reach in channels.items()]
    sends = Timetable(channels, slots).sends(now, zone)
    assert sends == {slot: sending_at(channels[slot[0]], slot[1], now, zone) for slot in slots}


@settings(max_examples=60)
@given(
    st.none() | weekly, st.none() | weekly, st.sampled_from(CHANGES + TWICE),
    st.lists(st.tuples(st.integers(-10 * 1440, 3 * 1440), st.integers(0, 59)), max_size=40),
)  # fmt: skip
def test_a_timetable_answers_the_same_whatever_it_was_asked_before(
    quiet: LocalSpan | None, window: LocalSpan | None, change: tuple[str, str],
    asked: list[tuple[int, int]],
) -> None:  # fmt: skip
    reach, slot = channel(quiet, "queue", window), ("ch", "slot" if window else "")
    timetable = Timetable({"ch": reach}, [slot])
    for minutes, seconds in asked:
        now = at(change[1]) + minutes * MINUTE + timedelta(seconds=seconds, microseconds=seconds)
        for zone in (change[0], "UTC", None):
            found = sending_at(reach, slot[1], now, zone)
            assert timetable.sends(now, zone) == {slot: found}
