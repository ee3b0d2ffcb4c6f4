from __future__ import annotations

import numpy as np
import pytest

from experiments.studies import decision_cost
from experiments.studies.decision_cost import beliefs, error, measure, parts_of
from experiments.studies.fine import best_by_convolution


def test_the_reference_agrees_with_draws() -> None:
    rng = np.random.default_rng(0)
    made = beliefs([80.0, 30.0, -20.0], 6, rng)
    draws = 200_000
    eta = made.mean + made.sd * rng.normal(size=(draws, 3, 6))
    utility = (made.values[:, None] / (1 + np.exp(-eta))).sum(axis=1) - made.costs
    shares = np.bincount(utility.argmax(axis=1), minlength=6) / draws
    p = best_by_convolution(made, 1 << 12)
    assert p.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.all(np.abs(shares - p) <= 4 * np.sqrt(p * (1 - p) / draws) + 3e-4)


def test_errors_are_those_that_are_claimed() -> None:
    assert error([80.0], 8, 2).value < 1e-3
    assert error([80.0, -20.0], 8, 2).value < 9e-3
    assert error([80.0, 30.0, -20.0, -15.0], 8, 2).value < 1e-2


def test_every_part_runs_and_is_timed() -> None:
    seen = measure(parts_of(25), rounds=2, calls=1)
    assert all(len(times) == 2 and min(times) > 0.0 for times in seen.values())


def test_the_study_prints_its_bars(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision_cost, "_COUNTS", (25,))
    text = decision_cost.study(rounds=1, calls=1, problems=1).text()
    for line in ("numpy: draw", "ratio to vw_squarecb, 4 outcomes", "worst total variation"):
        assert line in text
