"""Each check of the contract of intervals refuses one that breaks it, and says how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from experiments import interval_checks as checks
from experiments.intervals import Bounds, Interval, Sample
from experiments.intervals.base import normal_quantile
from experiments.intervals.betting import Betting


@dataclass(frozen=True)
class Subject:
    """The normal interval, with something done to it."""

    change: Callable[[Bounds, Sample, float], Bounds] = lambda found, sample, level: found
    name: str = "subject"
    assumption: str = "the mean of the terms is normal"
    anytime: bool = False
    needs_rows: bool = False
    checked: bool = True

    def bounds(self, sample: Sample, level: float) -> Bounds:
        z = normal_quantile(level if self.checked else min(level, 0.9) or 0.9)
        found = Bounds(sample.value - z * sample.stderr, sample.value + z * sample.stderr)
        return self.change(found, sample, level)


def _spoiling(found: Bounds, sample: Sample, level: float) -> Bounds:
    assert sample.rows is not None
    sample.rows.terms[0] += 1.0
    return found


_LUCK = np.random.default_rng(0)
BROKEN: list[tuple[checks.Check, Interval, str]] = [
    (checks.check_words, Subject(name="two words"), "expected a name of one word"),
    (checks.check_words, Subject(assumption="none"), "expected an assumption in words"),
    (checks.check_finite_and_holds_value, Subject(lambda b, s, p: Bounds(b.low, np.inf)),
     "expected finite bounds"),
    (checks.check_finite_and_holds_value, Subject(lambda b, s, p: Bounds(s.value + 1, b.high + 9)),
     "expected the estimate"),
    (checks.check_wider_with_level, Subject(lambda b, s, p: Bounds(b.low, s.value + 1.0 - p)),
     "expected intervals that grow with the level"),
    (checks.check_level, Subject(checked=False), "expected level 0 to be refused"),
    (checks.check_scale, Subject(lambda b, s, p: Bounds(b.low - 0.5, b.high)),
     "expected 100 times the bounds"),
    (checks.check_mirror, Subject(lambda b, s, p: Bounds(2.0 * b.low - s.value, b.high)),
     "expected the mirror image"),
    (checks.check_narrower_with_more, Subject(lambda b, s, p: s.reward_range),
     "expected less than half the width"),
    (checks.check_pure, Subject(lambda b, s, p: Bounds(b.low - _LUCK.random(), b.high)),
     "expected the same answer twice"),
    (checks.check_pure, Subject(_spoiling), "expected the arrays it is given to stay"),
    (checks.check_rows, Subject(needs_rows=True), "expected a LogError without decisions"),
    (checks.check_rows, Subject(lambda b, s, p: Bounds(b.low - (s.rows is None), b.high)),
     "without decisions, got"),
    (checks.check_rows, Betting(needs_rows=False),
     "expected needs_rows to be True"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "broken", "message"), BROKEN)
def test_a_broken_interval_is_refused(check: checks.Check, broken: Interval, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check(broken)


def test_every_check_is_tested_and_a_sound_interval_passes() -> None:
    assert {check for check, _, _ in BROKEN} == set(checks.ALL_CHECKS)
    for check in checks.ALL_CHECKS:
        check(Subject())
