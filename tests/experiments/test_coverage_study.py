"""The study of coverage tells a sound interval from one that is too narrow."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.studies.coverage.__main__ import LEAST, WIDEST, lines, verdict
from experiments.studies.coverage.measure import Cell, Covered, Found, measure
from experiments.studies.coverage.worlds import ARMS, SHARPNESS, World


@pytest.fixture(scope="module")
def found() -> Found:
    """25 logs of 1,000 decisions of each of two kinds."""
    return measure({1_000: 25}, 11, kinds=("fixed", "adaptive"))


def test_the_default_covers_and_the_normal_interval_does_not(found: Found) -> None:
    """50 logs, two targets each; a coverage of .93 has a standard error of .036 over 50 logs."""
    envelope, normal = (mean(found, f"{name} snips") for name in ("envelope", "normal"))
    assert envelope >= LEAST - 2 * 0.036
    assert normal <= 0.89
    assert all(rows["envelope snips"].width < 6.0 for rows in found.once.values())


def mean(found: Found, row: str) -> float:
    return float(np.mean([rows[row].share for rows in found.once.values()]))


def test_anytime_intervals_hold_at_all_looks(found: Found) -> None:
    for rows in found.always.values():
        assert set(rows) == {"betting snips", "asymptotic snips", "asymptotic dr"}
        assert all(each.share >= 0.75 for each in rows.values())  # of 5 logs


def test_the_verdict_names_the_worst_cell_and_the_narrowest() -> None:
    cells = {Cell("fixed", "soft", 10): 0.96, Cell("adaptive", "greedy", 20): 0.91}
    rows = {
        cell: {
            "envelope dr": Covered(share, 0.01, 2.0, 1.0, 100),
            "normal dr": Covered(share - 0.02, 0.01, 1.25, 1.6, 100),
        }
        for cell, share in cells.items()
    }
    least, widest = verdict(Found(rows, {}))
    assert least.startswith("envelope dr: least coverage 91.0 +- 1.0 (adaptive, greedy, 20)")
    assert "1.60 times" in widest
    assert "normal dr: fixed, soft, 10" in widest
    assert widest.endswith(f"promised {WIDEST:g}")


def test_a_learners_log_has_the_probabilities_it_was_drawn_with() -> None:
    world = World.draw(5)
    draws = world.log("adaptive", 20_000, np.random.default_rng(6))
    np.testing.assert_allclose(draws.distribution.sum(axis=1), 1.0)
    assert draws.distribution.min() >= 0.1 / ARMS - 1e-12
    drawn = np.bincount(draws.action, minlength=ARMS)
    expected = draws.distribution.sum(axis=0)
    spread = np.sqrt((draws.distribution * (1.0 - draws.distribution)).sum(axis=0))
    assert np.all(np.abs(drawn - expected) < 4.0 * spread)
    first, last = draws.reward[:2_000].mean(), draws.reward[-10_000:].mean()
    assert last > first  # it learns


def test_truths_are_those_of_many_decisions() -> None:
    """The value of a target is what it earns when it decides itself."""
    world, rng = World.draw(5), np.random.default_rng(8)
    x = rng.normal(size=(200_000, 4))
    rates = world.rates(x, np.zeros(len(x)))
    for name in SHARPNESS:
        p = world.target(x, name)
        drawn = (p.cumsum(axis=1) < rng.random((len(p), 1))).sum(axis=1).clip(max=ARMS - 1)
        won = rng.random(len(x)) < rates[np.arange(len(x)), drawn]
        assert abs(won.mean() - world.truth(name, moody=False)) < 4.0 * won.std() / len(x) ** 0.5


def test_it_prints_a_row_for_each_interval_and_estimator() -> None:
    printed = list(lines({100: 5}, 3))
    assert sum(line.startswith("  betting snips") for line in printed) == 6 + 1
    assert sum(line.startswith("  envelope dr") for line in printed) == 6
    assert printed[1].split()[:4] == ["fixed,", "soft", "100", "(5"]
