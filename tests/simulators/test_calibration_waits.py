from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from simulators.calibration.logged import Waits
from simulators.calibration.waits import (
    fitted_scale,
    log_quantile,
    scaled,
    world_quantile,
)
from simulators.delays import Delay, Lognormal
from simulators.market.spec import DelaySpec, OutcomeSpec

DAY_US = 86_400e6
MIXTURE = (
    DelaySpec(weight=0.4, median=timedelta(hours=12), sigma=1.2),
    DelaySpec(weight=0.6, median=timedelta(days=5), sigma=0.8),
)


def waits(scale: float, count: int, seed: int = 1) -> Waits:
    """Delays of the mixture times a factor, each truncated to a length of its own."""
    rng = np.random.default_rng(seed)
    delay = Delay((Lognormal(0.4, 0.5 * scale, 1.2), Lognormal(0.6, 5.0 * scale, 0.8)))
    most = rng.uniform(5.0, 14.0, count)
    lengths = np.rint(most * DAY_US).astype(np.int64)
    taken = delay.within_many(lengths, rng.random(count), rng.random(count))
    return Waits(taken / DAY_US, most)


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0])
def test_the_scale_is_found_again_though_windows_cut_delays_off(scale: float) -> None:
    logs = [np.log(fitted_scale(MIXTURE, waits(scale, 2_000, seed)) / scale) for seed in range(8)]
    spread = np.std(logs, ddof=1) / np.sqrt(8)
    assert spread < 0.1
    assert abs(np.mean(logs)) < 4.0 * spread


def test_a_scale_beyond_all_bounds_stops_at_them() -> None:
    at_once = Waits(np.full(50, 1e-9), np.full(50, 14.0))
    never = Waits(np.full(50, 13.999), np.full(50, 14.0))
    assert fitted_scale(MIXTURE, at_once) == pytest.approx(1 / 50)
    assert fitted_scale(MIXTURE, never) == pytest.approx(50)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_quantiles_of_world_and_log_agree_within_the_error(share: float) -> None:
    found = waits(1.0, 4_000)
    target, error = log_quantile(found.taken, share)
    assert 0.0 < error < 0.2
    assert abs(world_quantile(MIXTURE, found.most, share) - target) < 4.0 * error


def test_an_outcome_keeps_all_but_the_medians() -> None:
    outcome = OutcomeSpec(base={"one": -4.0}, delay=MIXTURE, once=True)
    found = scaled(outcome, 1.5)
    assert [each.median for each in found.delay] == [
        timedelta(hours=18), timedelta(days=7, hours=12),
    ]  # fmt: skip
    assert found.model_copy(update={"delay": MIXTURE}) == outcome
    assert scaled(outcome, 1e-9).delay[0].median == timedelta(seconds=1)
