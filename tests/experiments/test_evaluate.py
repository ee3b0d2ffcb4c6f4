"""An evaluation is honest: what it says, what it refuses, and what it warns of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from agents.errors import LogError, UnknownNameError
from agents.revision import Revision
from experiments.evaluate import declared_range, evaluate
from experiments.intervals import Bounds
from experiments.logs import LoggedDecisions
from experiments.targets import logged_target, none_target, uniform_target

MakeLog = Callable[..., LoggedDecisions]


def test_the_answer_holds_the_truth(market: Any, make_log: MakeLog) -> None:
    log = make_log(5_000, 1)
    target = market.best(market.read(log), log.allowed)
    found = evaluate(log, target, name="best", estimators=("ips", "snips", "dr"))
    assert [e.estimator for e in found.estimates] == ["ips", "snips", "dr"]
    for estimate in found.estimates:
        assert estimate.low < market.truth(log, target) < estimate.high
        assert estimate.low < estimate.value < estimate.high
        assert (estimate.n, estimate.level) == (5_000, 0.95)
        assert estimate.enough
    assert found.warnings == ()
    assert found.by("dr") is found.estimates[2]


def test_the_logging_policy_is_worth_the_mean(make_log: MakeLog) -> None:
    log = make_log(500, 2)
    for estimate in evaluate(log, logged_target(log), estimators=("ips", "snips")).estimates:
        assert estimate.value == pytest.approx(log.reward.mean())
        assert estimate.stderr == pytest.approx(log.reward.std(ddof=1) / np.sqrt(500))


def test_a_higher_level_is_wider(make_log: MakeLog) -> None:
    log = make_log(500, 3)
    narrow, wide = (
        evaluate(log, uniform_target(log), level=level).by("snips") for level in (0.8, 0.99)
    )
    assert wide.low < narrow.low < narrow.high < wide.high


def test_repeated_customers_are_no_new_information(make_log: MakeLog) -> None:
    log = make_log(500, 4)
    rows = np.repeat(np.arange(500), 2)
    arrays: dict[str, Any] = {
        name: value[rows] for name, value in vars(log).items() if isinstance(value, np.ndarray)
    }
    twice = replace(log, **arrays)
    one, two = (evaluate(each, uniform_target(each)).by("snips") for each in (log, twice))
    assert two.stderr == pytest.approx(one.stderr, rel=1e-3)
    assert two.high - two.low == pytest.approx(one.high - one.low, rel=0.01)


def test_a_declared_range_can_only_widen(make_log: MakeLog) -> None:
    log = make_log(500, 5)
    plain = evaluate(log, uniform_target(log)).by("snips")
    tight = evaluate(log, uniform_target(log), reward_range=Bounds(0.0, 1.0)).by("snips")
    wide = evaluate(log, uniform_target(log), reward_range=Bounds(-50.0, 300.0)).by("snips")
    assert tight == plain
    assert wide.low < plain.low < plain.high < wide.high


def test_the_declared_range_of_the_example(revision: Revision) -> None:
    assert declared_range(revision) == pytest.approx((-20 - 15 - 1.56, 80 + 30))


def test_too_little_data_is_said(make_log: MakeLog) -> None:
    log = make_log(60, 6)
    found = evaluate(log, none_target(log))
    assert not found.by("dr").enough
    assert any("at least 10 needed" in warning for warning in found.warnings)


def test_missing_support_is_said(make_log: MakeLog) -> None:
    log = make_log(500, 7)
    target = np.zeros_like(log.distribution)
    target[:, 1] = 1.0
    assert any("hardly ever tried" in warning for warning in evaluate(log, target).warnings)


def test_a_failing_audit_is_said(make_log: MakeLog) -> None:
    log = make_log(5_000, 8)
    stale = 0.7 * log.distribution + 0.3 * uniform_target(log)
    liar = replace(log, distribution=stale, propensity=stale[np.arange(5_000), log.action])
    assert any("not drawn with the" in w for w in evaluate(liar, uniform_target(liar)).warnings)


def test_disagreement_is_said(make_log: MakeLog) -> None:
    log = make_log(500, 9)
    target = uniform_target(log)
    tilted = np.full_like(target, 500.0)
    tilted[np.arange(500), log.action] = 0.0
    found = evaluate(log, target, q_hat=tilted)
    assert any("trust neither alone" in w for w in found.warnings)
    assert evaluate(log, target, q_hat=tilted, estimators=("dr",)).warnings == ()


def test_what_cannot_be_answered_is_refused(make_log: MakeLog) -> None:
    log = make_log(50, 10)
    target = uniform_target(log)
    with pytest.raises(UnknownNameError, match="no estimator 'drr'"):
        evaluate(log, target, estimators=("drr",))
    with pytest.raises(ValueError, match=r"shape \(50, 5\) .*got \(49, 5\)"):
        evaluate(log, target[1:])
    with pytest.raises(ValueError, match="probabilities that sum to 1"):
        evaluate(log, target * 2.0)
    with pytest.raises(ValueError, match="probabilities that sum to 1"):
        evaluate(log, np.where(target > 0, np.nan, target))
    with pytest.raises(ValueError, match="level between 0 and 1"):
        evaluate(log, target, level=95.0)
    with pytest.raises(LogError, match="got 50 of the control group"):
        evaluate(replace(log, group=np.full(50, "control", dtype=object)), target)
    with pytest.raises(LogError, match="two customers, got 50 decisions of 1"):
        evaluate(replace(log, customer=np.full(50, "c", dtype=object)), target)
