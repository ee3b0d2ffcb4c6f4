"""An answer is refused where a log cannot give it, and told where it can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from experiments.diagnostics import LIMITS, Diagnostics, Health, MeanWeight, diagnose, judge
from experiments.evaluate import evaluate
from experiments.logs import LoggedDecisions
from experiments.targets import logged_target, none_target, uniform_target

MakeLog = Callable[..., LoggedDecisions]


def failed(found: Diagnostics) -> list[str]:
    return [check.name for check in judge(found).reasons]


def test_true_logs_are_supported(make_log: MakeLog) -> None:
    """Of 40 true logs hardly one is refused: each test has a level of 0.001."""
    refused = [
        evaluate(log, uniform_target(log)).verdict.reasons
        for log in (make_log(2_000, seed) for seed in range(40))
    ]
    assert sum(map(bool, refused)) <= 2, [check.name for each in refused for check in each]


def test_mean_weight_finds_propensities_that_are_false_for_this_target(make_log: MakeLog) -> None:
    log = make_log(5_000, 1)
    target = none_target(log)
    none, rows = log.action == 0, np.arange(5_000)
    p = log.distribution.copy()
    p[:, 0] *= 0.5  # drawn twice as often as is said
    p /= p.sum(axis=1, keepdims=True)
    false = replace(log, distribution=p, propensity=p[rows, log.action])
    assert none.any()
    assert failed(diagnose(log, target)) == []
    assert "Mean weight of this policy" in failed(diagnose(false, target))


def test_the_half_in_which_propensities_were_false_is_named(make_log: MakeLog) -> None:
    log, rows = make_log(6_000, 2), np.arange(6_000)
    stale = 0.4 * log.distribution + 0.6 * uniform_target(log)
    p = np.where((rows >= 3_000)[:, None], stale, log.distribution)
    false = replace(log, distribution=p, propensity=p[rows, log.action])
    first = np.zeros_like(p)
    first[rows, np.where(log.allowed[:, 1], 1, 0)] = 1.0
    found = diagnose(false, first).mean_weights
    assert found[1].p > 0.01
    assert found[2].p < found[1].p


def test_a_rare_great_weight_is_no_false_alarm(make_log: MakeLog) -> None:
    """With 100 decisions and a probability of 0.0001, one draw is luck and not a lie."""
    log = make_log(100, 3)
    p = np.tile([0.9999, 0.0001, 0.0, 0.0, 0.0], (100, 1))
    action = np.zeros(100, dtype=np.int64)
    action[7] = 1
    rare = replace(
        log, distribution=p, allowed=p > 0.0, action=action, propensity=p[np.arange(100), action]
    )
    target = np.tile([0.5, 0.5, 0.0, 0.0, 0.0], (100, 1))
    assert diagnose(rare, target).mean_weights[0].value > 10.0
    assert all(test.passed for test in diagnose(rare, target).mean_weights)


def test_the_p_value_of_the_mean_weight_is_a_bound(make_log: MakeLog) -> None:
    logs = [make_log(300, seed) for seed in range(200)]
    p = np.array([diagnose(log, none_target(log)).mean_weights[0].p for log in logs])
    for level in (0.3, 0.1, 0.02):
        assert np.mean(p < level) <= level + 4 * np.sqrt(level / 200)


def test_a_changed_market_is_noticed(market: Any, make_log: MakeLog) -> None:
    early, late = make_log(6_000, 4), make_log(6_000, 5, market=replace(market, base=0.15))
    arrays: dict[str, Any] = {
        name: np.concatenate([value, getattr(late, name)])
        for name, value in vars(early).items()
        if isinstance(value, np.ndarray)
    }
    arrays["at"] = early.at[0] + np.arange(12_000) * np.timedelta64(60, "s")
    arrays["customer"] = np.array([f"c{i}" for i in range(12_000)], dtype=object)
    log = replace(early, **arrays)
    found = evaluate(log, logged_target(log))
    assert found.verdict.reasons == ()
    assert [check.name for check in found.verdict.checks if check.verdict == "warn"] == [
        "Same value throughout"
    ]
    assert evaluate(early, logged_target(early)).verdict.supported


def test_other_customers_are_noticed(make_log: MakeLog) -> None:
    log = make_log(2_000, 6)
    contexts = np.array(
        [
            {"features": {"a": each["features"]["a"] + (row >= 1_000)}, "contacts": []}
            for row, each in enumerate(log.contexts)
        ],
        dtype=object,
    )
    assert not judge(diagnose(log, logged_target(log), Health.of(log))).warnings
    moved = replace(log, contexts=contexts)
    warnings = judge(diagnose(moved, logged_target(moved), Health.of(moved))).warnings
    assert any("standard deviations" in words for words in warnings)


def test_what_is_needed_is_said_in_decisions(make_log: MakeLog) -> None:
    verdict = evaluate(make_log(60, 7), none_target(make_log(60, 7))).verdict
    assert not verdict.supported
    assert any("more decisions like these" in words for words in verdict.needed)


def test_of_two_numbers_of_decisions_the_larger_is_told(make_log: MakeLog) -> None:
    log = make_log(80, 8)
    verdict = evaluate(log, none_target(log)).verdict
    numbers = {check.total: check.needed for check in verdict.reasons if check.total}
    assert len(numbers) == 2  # conversions and effective decisions, each with a need of its own
    told = [words for words in verdict.needed if "more decisions like these" in words]
    assert told == [numbers[max(numbers)]]
    assert f"({max(numbers):,} in all)" in told[0]


def test_a_policy_of_barred_choices_is_refused(make_log: MakeLog) -> None:
    log = make_log(3_000, 8)
    target = np.zeros_like(log.distribution)
    target[:, 3] = 1.0  # barred in a fifth of all rows
    found = evaluate(log, target)
    assert "Support" in [check.name for check in found.verdict.reasons]
    assert found.diagnostics.unsupported == pytest.approx(np.mean(~log.allowed[:, 3]))
    assert any("exploration floor" in words for words in found.verdict.needed)


def test_numbers_are_shown_only_when_they_may_be(make_log: MakeLog) -> None:
    log = make_log(60, 9)
    found = evaluate(log, none_target(log))
    assert found.estimates != ()
    assert found.shown == ()
    assert replace(found, forced=True).shown == found.estimates


def test_a_tuned_estimator_is_found_as_it_was_asked(make_log: MakeLog) -> None:
    log = make_log(1_500, 10)
    found = evaluate(log, uniform_target(log), estimators=("snips", "switch"))
    assert found.by("switch") is found.estimates[1]
    assert found.by(found.estimates[1].estimator) is found.estimates[1]
    with pytest.raises(KeyError):
        found.by("dros")


def test_a_log_of_drawn_probabilities_is_not_audited(make_log: MakeLog) -> None:
    log = replace(make_log(2_000, 11), whole=False)
    checks = {
        check.name: check.verdict for check in evaluate(log, logged_target(log)).verdict.checks
    }
    assert checks["Logged probabilities"] == "warn"


def test_the_limits_are_those_that_are_documented() -> None:
    assert (LIMITS.ess, LIMITS.conversions, LIMITS.unsupported) == (50.0, 10.0, 0.01)
    assert MeanWeight(1.5, 1.0, LIMITS.alarm / 2).passed is False
