from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from agents.revision import Revision

QUIET = {
    "channels": """
  email: {cost: 0.25}
  sms: {cost: 0.5, quiet_hours: {from: "21:00", to: "08:00"}}"""
}
WINDOWED = {
    "channels": """
  email:
    windows: {early: {from: "06:00", to: "09:00"}, late: {from: "20:00", to: "23:00"}}
    quiet_hours: {from: "21:00", to: "08:00"}
  sms: {cost: 0.5}"""
}
NO_ZONE = "quiet_hours: the customer's time zone is unknown"


def reasons(revision: Revision, features: dict[str, object], at: datetime) -> dict[str, str | None]:
    mask = revision.mask(revision.context("ann", at, features))
    return dict(zip((a.id for a in revision.actions), mask.reasons, strict=True))


@pytest.mark.parametrize(
    ("zone", "text", "quiet"),
    [
        ("Europe/Berlin", "2026-01-14T19:59:59Z", False),
        ("Europe/Berlin", "2026-01-14T20:00:00Z", True),
        ("Europe/Berlin", "2026-01-14T23:30:00Z", True),  # past midnight there
        ("Europe/Berlin", "2026-01-15T06:59:59Z", True),
        ("Europe/Berlin", "2026-01-15T07:00:00Z", False),
        ("Europe/Berlin", "2026-03-29T05:59:59Z", True),  # spring: 08:00 comes an hour sooner
        ("Europe/Berlin", "2026-03-29T06:00:00Z", False),
        ("Europe/Berlin", "2026-10-25T06:59:59Z", True),  # autumn: and an hour later
        ("Europe/Berlin", "2026-10-25T07:00:00Z", False),
        ("Australia/Lord_Howe", "2026-10-03T20:59:59Z", True),  # 07:59:59, the change was 30 min
        ("Australia/Lord_Howe", "2026-10-03T21:00:00Z", False),
        ("Asia/Kathmandu", "2026-01-14T15:14:59Z", False),
        ("Asia/Kathmandu", "2026-01-14T15:15:00Z", True),
        ("Pacific/Kiritimati", "2026-01-14T06:59:59Z", False),
        ("Pacific/Kiritimati", "2026-01-14T07:00:00Z", True),
        ("Pacific/Apia", "2011-12-30T09:59:59Z", True),  # 29 December, 23:59:59
        ("Pacific/Apia", "2011-12-30T17:59:59Z", True),  # 31 December, 07:59:59
        ("Pacific/Apia", "2011-12-30T18:00:00Z", False),
    ],
)
def test_a_channel_is_barred_while_it_is_quiet_where_the_customer_is(
    build: Callable[..., Revision],
    features: dict[str, object],
    zone: str,
    text: str,
    quiet: bool,
) -> None:
    at = datetime.fromisoformat(text)
    found = reasons(build(QUIET), features | {"time_zone": zone}, at)
    reason = f"quiet_hours: sms is quiet from 21:00 to 08:00 in {zone}" if quiet else None
    assert found["help/short@sms"] == found["sale/plain@sms"] == reason
    assert found["help/short@email"] is None
    assert found["none"] is None


@pytest.mark.parametrize("zone", [None, "absent"])
@pytest.mark.parametrize("hour", range(0, 24, 6))
def test_an_unknown_zone_is_quiet_at_every_hour(
    build: Callable[..., Revision], features: dict[str, object], zone: str | None, hour: int
) -> None:
    known = dict(features, time_zone=None)
    if zone == "absent":
        del known["time_zone"]
    at = datetime(2026, 1, 14, hour, tzinfo=UTC)
    found = reasons(build(QUIET), known, at)
    assert found["help/short@sms"] == found["sale/plain@sms"] == NO_ZONE
    assert found["help/short@email"] is None  # a channel without quiet hours needs no zone


def test_an_unknown_zone_bars_send_windows_and_leaves_what_is_sent_at_once(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    found = reasons(build(WINDOWED), features | {"time_zone": None}, noon)
    assert found["help/short@email#early"] == found["help/short@email#late"] == NO_ZONE
    assert found["help/short@sms"] is None


@pytest.mark.parametrize(
    ("text", "early", "late"),
    [
        ("2026-01-14T12:00Z", True, False),  # sent at 06:00 next day, which is quiet; at 20:00
        ("2026-01-14T06:59Z", True, False),  # now, 07:59
        ("2026-01-14T07:30Z", False, False),  # now, 08:30, no longer quiet
        ("2026-01-14T21:30Z", True, True),  # late: now, 22:30
    ],
)
def test_what_counts_is_the_instant_of_sending_and_not_of_deciding(
    build: Callable[..., Revision],
    features: dict[str, object],
    text: str,
    early: bool,
    late: bool,
) -> None:
    found = reasons(build(WINDOWED), features, datetime.fromisoformat(text))
    assert (found["help/short@email#early"] is not None) is early
    assert (found["help/short@email#late"] is not None) is late


def test_a_span_that_the_spring_gap_swallows_is_never_quiet(
    build: Callable[..., Revision], features: dict[str, object]
) -> None:
    gap = {"channels": '{email: {}, sms: {quiet_hours: {from: "02:00", to: "03:00"}}}'}
    for minute in range(60):
        at = datetime(2026, 3, 29, 0, minute, tzinfo=UTC)
        assert reasons(build(gap), features, at)["help/short@sms"] is None
    fold = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)  # 02:30 for the second time
    assert reasons(build(gap), features, fold)["help/short@sms"] is not None


QUEUED = {
    "channels": """
  email:
    windows: {late: {from: "20:00", to: "23:00"}, gap: {from: "02:00", to: "03:00", days: [sun]}}
    quiet_hours: {from: "03:00", to: "08:00", on_hit: queue}
  sms: {quiet_hours: {from: "21:00", to: "08:00", on_hit: queue, days: [fri, sat]}}"""
}


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("2026-01-16T19:59:59Z", "2026-01-16T19:59:59Z"),  # a Friday, 20:59:59
        ("2026-01-16T20:00:00Z", "2026-01-17T07:00:00Z"),
        ("2026-01-17T22:00:00Z", "2026-01-18T07:00:00Z"),
        ("2026-01-18T22:00:00Z", "2026-01-18T22:00:00Z"),  # a Sunday night is not quiet
    ],
)
def test_what_is_queued_is_sent_when_the_quiet_ends(
    build: Callable[..., Revision], features: dict[str, object], text: str, sent: str
) -> None:
    revision, at = build(QUEUED), datetime.fromisoformat(text)
    assert reasons(revision, features, at)["help/short@sms"] is None
    action = revision.actions[revision.index("help/short@sms")]
    send_at = revision.send_at(action, revision.context("ann", at, features))
    assert send_at == datetime.fromisoformat(sent)


def test_a_window_without_an_instant_within_nine_days_is_barred(
    build: Callable[..., Revision], features: dict[str, object]
) -> None:
    """The spring gap leaves out the only hour of the only day."""
    found = reasons(build(QUEUED), features, datetime(2026, 3, 23, 12, tzinfo=UTC))
    assert found["help/short@email#gap"] == "quiet_hours: the sending instant is unknown"
    assert found["help/short@email#late"] is None
    found = reasons(build(QUEUED), features, datetime(2026, 3, 30, 12, tzinfo=UTC))
    assert found["help/short@email#gap"] is None


def test_an_unknown_zone_bars_what_would_be_queued(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    found = reasons(build(QUEUED), features | {"time_zone": None}, noon)
    assert found["help/short@sms"] == found["help/short@email#late"] == NO_ZONE


@pytest.mark.parametrize(
    ("text", "quiet"),
    [
        ("2026-01-17T06:59:59Z", True),  # Saturday morning belongs to Friday's night
        ("2026-01-16T06:59:59Z", False),
        ("2026-01-19T06:59:59Z", False),  # Monday morning to Sunday's
        ("2026-01-18T06:59:59Z", True),
    ],
)
def test_quiet_hours_of_some_weekdays(
    build: Callable[..., Revision], features: dict[str, object], text: str, quiet: bool
) -> None:
    days = '{from: "21:00", to: "08:00", days: [fri, sat]}'
    revision = build({"channels": f"{{email: {{}}, sms: {{quiet_hours: {days}}}}}"})
    found = reasons(revision, features, datetime.fromisoformat(text))["help/short@sms"]
    assert (found is not None) is quiet
