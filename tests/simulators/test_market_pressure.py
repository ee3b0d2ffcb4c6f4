from __future__ import annotations

import math

import numpy as np
import pytest

from simulators.market.pressure import Pressure

HOUR = 3_600_000_000
ONE = np.array([0])


def level(pressure: Pressure, at: int) -> float:
    return float(pressure.level(ONE, at)[0])


def test_one_message_lifts_to_the_step_and_fades_by_half() -> None:
    pressure = Pressure(1, step=0.4, half_life_s=3_600.0)
    assert level(pressure, 0) == 0.0
    pressure.press(ONE, np.array([0]), now=0)
    assert level(pressure, 0) == pytest.approx(0.4, abs=1e-15)
    for hours in (1, 2, 5):
        due = 1.0 - 0.6 ** (2.0**-hours)
        assert level(pressure, hours * HOUR) == pytest.approx(due, abs=1e-14)


def test_messages_add_up_and_the_level_stays_below_one() -> None:
    pressure = Pressure(1, step=0.4, half_life_s=3_600.0)
    for hour in (0, 1):
        pressure.press(ONE, np.array([hour * HOUR]), now=hour * HOUR)
    assert level(pressure, HOUR) == pytest.approx(1.0 - 0.6**1.5, abs=1e-14)
    for _ in range(30):
        pressure.press(ONE, np.array([HOUR]), now=HOUR)
    assert 0.999 < level(pressure, HOUR) < 1.0


def test_a_message_that_waits_does_not_press() -> None:
    pressure = Pressure(1, step=0.4, half_life_s=3_600.0)
    pressure.press(ONE, np.array([0]), now=0)
    pressure.press(ONE, np.array([5 * HOUR]), now=0)  # the later one first
    pressure.press(ONE, np.array([2 * HOUR]), now=HOUR)
    assert level(pressure, HOUR) == pytest.approx(1.0 - 0.6**0.5, abs=1e-14)
    assert level(pressure, 2 * HOUR) == pytest.approx(1.0 - 0.6**1.25, abs=1e-14)
    due = 1.0 - 0.6 ** (1.0 + 2.0**-3 + 2.0**-5)
    assert level(pressure, 5 * HOUR) == pytest.approx(due, abs=1e-14)


def test_many_messages_are_the_sum_over_all_that_were_sent() -> None:
    rng = np.random.default_rng(3)
    pressure = Pressure(5, step=0.3, half_life_s=7_200.0)
    sent: list[list[int]] = [[] for _ in range(5)]
    for now in range(0, 60 * HOUR, 2 * HOUR):
        places = np.flatnonzero(rng.random(5) < 0.5)
        instants = now + rng.choice([0, HOUR, 7 * HOUR], places.size)
        pressure.press(places, instants, now)
        for place, instant in zip(places.tolist(), instants.tolist(), strict=True):
            sent[place].append(instant)
        at = now + HOUR
        sums = [sum(2.0 ** (-(at - t) / (2 * HOUR)) for t in mine if t <= at) for mine in sent]
        due = [1.0 - math.exp(math.log(0.7) * total) for total in sums]
        assert pressure.level(np.arange(5), at) == pytest.approx(due, abs=1e-12)


def test_of_more_than_four_that_wait_the_earliest_counts_at_once() -> None:
    pressure = Pressure(1, step=0.4, half_life_s=3_600.0)
    for hour in (10, 11, 12, 13, 14):
        pressure.press(ONE, np.array([hour * HOUR]), now=0)
    assert level(pressure, 0) == pytest.approx(0.4, abs=1e-15)
    due = 1.0 - 0.6 ** (2.0**-14 + sum(2.0**-hours for hours in (0, 1, 2, 3)))
    assert level(pressure, 14 * HOUR) == pytest.approx(due, abs=1e-12)


def test_reset_lets_everybody_rest() -> None:
    pressure = Pressure(2, step=0.4, half_life_s=3_600.0)
    pressure.press(np.array([0, 1]), np.array([0, HOUR]), now=0)
    pressure.reset()
    assert pressure.level(np.array([0, 1]), 2 * HOUR).tolist() == [0.0, 0.0]
