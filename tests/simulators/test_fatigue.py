from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from simulators.fatigue import Fatigue

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def test_each_contact_raises_it_and_it_stays_below_one() -> None:
    fatigue = Fatigue(step=0.5, half_life_days=4.0)
    levels = [fatigue.level([MONDAY] * n, MONDAY) for n in range(6)]
    assert levels == [0.0, 0.5, 0.75, 0.875, 0.9375, 0.96875]


def test_half_of_one_contact_is_gone_after_the_half_life() -> None:
    fatigue = Fatigue(step=0.4, half_life_days=4.0)
    levels = [fatigue.level([MONDAY], MONDAY + n * 4 * DAY) for n in range(3)]
    assert levels == pytest.approx([0.4, 0.2, 0.1])


def test_a_planned_contact_does_not_count_yet() -> None:
    assert Fatigue().level([MONDAY + DAY], MONDAY) == 0.0


def test_the_order_of_contacts_does_not_matter() -> None:
    contacts = [MONDAY, MONDAY + DAY, MONDAY + 3 * DAY]
    at = MONDAY + 5 * DAY
    assert Fatigue().level(contacts, at) == pytest.approx(Fatigue().level(contacts[::-1], at))


@pytest.mark.parametrize(
    ("step", "half_life", "message"),
    [
        (1.0, 6.0, "step: expected a number from 0 to below 1, got 1.0"),
        (-0.1, 6.0, "step: expected a number from 0 to below 1, got -0.1"),
        (0.3, 0.0, "half_life_days: expected a number above 0, got 0.0"),
        (0.3, float("nan"), "half_life_days: expected a number above 0, got nan"),
    ],
)
def test_numbers_out_of_range_are_refused(step: float, half_life: float, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Fatigue(step=step, half_life_days=half_life)
