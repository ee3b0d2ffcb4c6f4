from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from scipy import stats

from simulators.delays import Delay, Lognormal

DAY = timedelta(days=1)
MIXED = Delay((Lognormal(0.3, 0.2, 1.1), Lognormal(0.7, 5.0, 0.6)))


def test_share_within_is_the_mixtures_distribution_function() -> None:
    for days in (0.01, 0.5, 3.0, 20.0):
        due = 0.3 * stats.lognorm.cdf(days, 1.1, scale=0.2)
        due += 0.7 * stats.lognorm.cdf(days, 0.6, scale=5.0)
        assert MIXED.share_within(days * DAY) == pytest.approx(due, abs=1e-12)
    assert MIXED.share_within(timedelta(0)) == 0.0


@pytest.mark.parametrize("window", [timedelta(hours=6), 3 * DAY, 14 * DAY])
def test_delays_follow_the_truncated_mixture(window: timedelta) -> None:
    rng = np.random.default_rng(11)
    delays = [MIXED.within(window, *rng.random(2)) for _ in range(3_000)]
    assert all(timedelta(0) <= delay <= window for delay in delays)
    total = MIXED.share_within(window)
    levels = [MIXED.share_within(delay) / total for delay in delays]  # uniform, if they do
    assert stats.kstest(levels, "uniform").pvalue > 0.001


@pytest.mark.parametrize("when", [0.0, 1.0 - 2.0**-53])
@pytest.mark.parametrize("which", [0.0, 1.0 - 2.0**-53])
def test_the_ends_of_the_uniform_numbers_stay_inside(which: float, when: float) -> None:
    window = timedelta(minutes=1)
    assert timedelta(0) <= MIXED.within(window, which, when) < window


def test_an_outcome_at_the_last_moment_still_counts() -> None:
    certain = Delay((Lognormal(1.0, 1e-6, 0.1),))  # arrives at once, if no window cuts it
    assert certain.within(timedelta(microseconds=1), 0.5, 0.5) == timedelta(0)
    slow = Delay((Lognormal(1.0, 1e6, 0.1),))
    for window in (timedelta(microseconds=1), timedelta(seconds=1), DAY):
        assert slow.within(window, 0.5, 0.5) < window


def test_weights_must_sum_to_one() -> None:
    with pytest.raises(ValueError, match=r"^components: expected weights that sum to 1, got 0.9$"):
        Delay((Lognormal(0.5, 1.0, 1.0), Lognormal(0.4, 1.0, 1.0)))


def test_many_delays_are_those_of_one_each() -> None:
    rng = np.random.default_rng(5)
    windows = rng.choice([1, 60_000_000, 3 * 86_400_000_000, 10**15], 400)
    which, when = rng.random((2, 400))
    which[:4], when[:4] = (
        (0.0, 0.0, 1.0 - 2.0**-53, 0.3),
        (0.0, 1.0 - 2.0**-53, 0.5, 1.0 - 2.0**-53),
    )
    many = MIXED.within_many(windows, which, when)
    for place in range(400):
        window = timedelta(microseconds=int(windows[place]))
        alone = MIXED.within(window, which[place], when[place])
        assert alone == timedelta(microseconds=int(many[place]))
    assert MIXED.within_many(*(np.empty(0, dtype=t) for t in (np.int64, float, float))).size == 0
