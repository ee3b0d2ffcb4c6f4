from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from agents.revision import Revision

OFFERS = """
  spring:
    kind: promotion
    start: 2026-03-28
    end: 2026-03-29
    variants: {a: {text: Spring}}
    channels: [sms, email]
  later:
    kind: promotion
    start: 2026-03-29
    variants: {a: {text: Later}}
    channels: [sms]
  both:
    kind: promotion
    includes: [later, spring]
    variants: {a: {text: Both}}
    channels: [sms]
  always:
    kind: service
    variants: {a: {text: Always}}
    channels: [sms]"""
CHANNELS = """
  sms: {}
  email: {windows: {night: {from: "01:00", to: "05:00"}}}"""


def barred(revision: Revision, at: datetime, zone: str = "Europe/Berlin") -> dict[str, str]:
    mask = revision.mask(revision.context("ann", at, {"time_zone": zone}))
    found = dict(zip(revision.action_ids, mask.reasons, strict=True))
    return {name: reason for name, reason in found.items() if reason is not None}


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (
            datetime(2026, 3, 27, 22, 59, 59, tzinfo=UTC),
            {
                "spring/a@sms": "dates: begins on 2026-03-28",
                "later/a@sms": "dates: begins on 2026-03-29",
                "both/a@sms": "dates: later begins on 2026-03-29",
            },
        ),
        (
            datetime(2026, 3, 27, 23, tzinfo=UTC),
            {
                "later/a@sms": "dates: begins on 2026-03-29",
                "both/a@sms": "dates: later begins on 2026-03-29",
            },
        ),
        # clocks are set forward on the 29th: it ends an hour earlier by UTC
        (datetime(2026, 3, 28, 23, tzinfo=UTC), {}),
        (
            datetime(2026, 3, 29, 21, 59, 59, tzinfo=UTC),
            {"spring/a@email#night": "dates: ended on 2026-03-29"},
        ),
        (
            datetime(2026, 3, 29, 22, tzinfo=UTC),
            {
                "spring/a@sms": "dates: ended on 2026-03-29",
                "spring/a@email#night": "dates: ended on 2026-03-29",
                "both/a@sms": "dates: spring ended on 2026-03-29",
            },
        ),
    ],
)
def test_days_are_the_workspace_s_and_both_ends_are_included(
    build: Callable[..., Revision], at: datetime, expected: dict[str, str]
) -> None:
    assert barred(build(workspace={"channels": CHANNELS}, offers=OFFERS), at) == expected


def test_the_day_is_not_the_customer_s(build: Callable[..., Revision]) -> None:
    at = datetime(2026, 3, 27, 12, tzinfo=UTC)  # the 28th in Auckland, the 27th in Berlin
    found = barred(build(workspace={"channels": CHANNELS}, offers=OFFERS), at, "Pacific/Auckland")
    assert found["spring/a@sms"] == "dates: begins on 2026-03-28"


def test_without_a_zone_the_sending_day_is_unknown(build: Callable[..., Revision]) -> None:
    revision = build(workspace={"channels": CHANNELS}, offers=OFFERS)
    mask = revision.mask(revision.context("ann", datetime(2026, 3, 28, 12, tzinfo=UTC), {}))
    assert mask.reasons[revision.index("spring/a@email#night")] == (
        "dates: the sending instant is unknown"
    )
    assert mask.reasons[revision.index("spring/a@sms")] is None
