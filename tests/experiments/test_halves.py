"""A change that all policies share is told; one of their merit is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from experiments.asking.differences import difference
from experiments.diagnostics import ValueSums
from experiments.diagnostics.mean_weight import middle_of
from experiments.evaluate import Evaluation, Question, evaluate
from experiments.gate.criteria import Criteria
from experiments.gate.judging import judge
from experiments.gate.verdict import Outcome
from experiments.logs import LoggedDecisions
from experiments.paired import paired
from experiments.tally import clusters_of
from experiments.targets import logged_target, none_target, uniform_target
from experiments.weighing import Weighed

MakeLog = Callable[..., LoggedDecisions]
Floats = NDArray[np.float64]


def one_after_the_other(early: LoggedDecisions, late: LoggedDecisions) -> LoggedDecisions:
    """Join two logs of as many decisions; customers are those of both."""
    n = len(early) + len(late)
    arrays: dict[str, Any] = {
        name: np.concatenate([value, getattr(late, name)])
        for name, value in vars(early).items()
        if isinstance(value, np.ndarray)
    }
    arrays["at"] = early.at[0] + np.arange(n) * np.timedelta64(60, "s")
    arrays["decision_id"] = np.array([f"d{i}" for i in range(n)], dtype=object)
    return replace(early, **arrays)


def fallen(make_log: MakeLog, market: Any, seed: int, n: int = 6_000) -> LoggedDecisions:
    """Return a log in whose second half everybody buys a fifth as often, whatever is done."""
    rich = replace(market, base=0.15)
    return one_after_the_other(make_log(n, seed, market=rich), make_log(n, seed + 1_000))


def turned(make_log: MakeLog, market: Any, seed: int, n: int = 8_000) -> LoggedDecisions:
    """Return a log in whose second half each customer likes what the opposite one liked."""

    class Turned(type(market)):  # type: ignore[misc]  # the class of the fixture has no name here
        def convert(self, x: Floats) -> Floats:
            return np.asarray(market.convert(-x))

    early = make_log(n, seed, market=market)
    return one_after_the_other(early, make_log(n, seed + 1_000, market=Turned(market.base)))


def found_in(log: LoggedDecisions, target: Floats) -> tuple[Evaluation, Any]:
    question = Question(Weighed(log, target)), Question(Weighed(log, logged_target(log)))
    name = ("uniform", question[0]), ("logged", question[1])
    return question[0].answer("uniform", ["snips"]), difference(*name, "snips")


@pytest.mark.parametrize("target_of", [uniform_target, logged_target])
def test_a_fall_that_all_share_is_told_and_warned_of(
    target_of: Callable[[LoggedDecisions], Floats], make_log: MakeLog, market: Any
) -> None:
    log = fallen(make_log, market, 1)
    found, apart = found_in(log, target_of(log))
    drift = found.diagnostics.drift
    assert drift is not None
    assert (drift.great, drift.common) == (True, True)
    assert found.verdict.supported
    assert any("in step with all that was logged" in words for words in found.warnings)
    assert apart.supported


def test_a_fall_of_one_policy_alone_is_refused(make_log: MakeLog, market: Any) -> None:
    """What `none` earns falls to nothing in the second half; what else was logged, does not."""
    log = make_log(16_000, 3, market=replace(market, base=0.1))
    late = (np.arange(16_000) >= 8_000) & (log.action == 0)
    reward, value = np.where(late, 0.0, log.reward), np.where(late, 0.0, log.outcome_value)
    sold = late & (np.arange(16_000) % 5 == 0)
    reward, value = (np.where(sold, 10.0, each) for each in (reward, value))
    changed = replace(log, reward=reward, outcome_value=value)
    found, apart = found_in(changed, none_target(changed))
    assert [check.name for check in found.verdict.reasons] == ["Same value throughout"]
    assert found.verdict.comparable
    assert apart.supported  # it is the worse one in both halves
    assert evaluate(log, none_target(log)).verdict.supported


def test_a_turn_of_merit_is_refused_and_a_shared_fall_promoted(
    make_log: MakeLog, market: Any
) -> None:
    """The best policy of the first half is the worst of the second, and the gate says so."""
    refused = promoted = 0
    for seed in range(2):
        log = turned(make_log, market, seed)
        best = market.best(market.read(log), log.allowed)
        found = judge(log, best, log.distribution, Criteria())
        names = [row.name for row in found.missing]
        refused += names == ["difference in each half of the log"]
        question = Question(Weighed(log, best)), Question(Weighed(log, log.distribution))
        apart = difference(("best", question[0]), ("logged", question[1]), "snips")
        assert (apart.supported, apart.reason) == (False, "other in each half of the log")
        log = fallen(make_log, market, seed)
        best = market.best(market.read(log), log.allowed)
        promoted += judge(log, best, log.distribution, Criteria()).outcome is Outcome.PROMOTE
    assert (refused, promoted) == (2, 2)


def test_false_alarms_are_as_rare_as_promised(make_log: MakeLog) -> None:
    """Of 120 logs of one market the p-values are no smaller than chance makes them."""
    own, gaps, alarms = [], [], 0
    for seed in range(120):
        log = make_log(1_500, seed)
        sums = ValueSums.of(log, uniform_target(log), middle_of(log.at), *clusters_of(log.customer))
        apart = paired(log, uniform_target(log), log.distribution, estimator="snips").drift
        own.append(sums.drift().p)
        gaps.append(apart.p)
        alarms += apart.great or sums.drift().great
    assert alarms == 0
    for level in (0.2, 0.05):
        for p in (own, gaps):
            assert np.mean(np.array(p) < level) <= level + 4 * np.sqrt(level * (1 - level) / 120)


def test_a_difference_that_falls_in_step_with_the_log_is_told(
    make_log: MakeLog, market: Any
) -> None:
    """What a poor second half cannot show by itself is no turn, if all fell in proportion."""
    for seed in range(10):
        log = fallen(make_log, market, seed)
        assert not paired(log, none_target(log), log.distribution, estimator="snips").drift.great


def test_a_difference_that_falls_and_stays_one_is_told(make_log: MakeLog, market: Any) -> None:
    """In a market that shrinks a better policy brings less, and is better all the same."""
    log = fallen(make_log, market, 5, 12_000)
    best = market.best(market.read(log), log.allowed)
    drift = paired(log, best, log.distribution, estimator="snips").drift
    assert drift.p < 1e-3
    assert drift.share > 0.5
    assert drift.settled
    assert not drift.great


@pytest.mark.parametrize(("logged", "common"), [(0.95, False), (0.5, True)])
def test_a_small_fall_of_the_log_excuses_no_large_one(logged: float, common: bool) -> None:
    """A policy falls by half and a bit; the log falls by a twentieth, or by half."""
    noise = np.random.default_rng(2).normal(0.0, 0.05, (2, 2, 2_000))
    ones = np.ones((2, 2_000))
    known = np.stack([ones, np.array([[1.0], [logged]]) + noise[0]])
    values = np.full((2, 2), 100.0)
    own = ValueSums(ones, np.array([[1.0], [0.48]]) + noise[1], values, known)
    none = ValueSums(ones, np.zeros((2, 2_000)), values, known)
    drift = own.drift()
    assert (drift.great, drift.common) == (True, common)
    gap = replace(own, rewards=own.rewards + np.array([[1.0], [-0.6]])).drift_over(none, 100.0)
    assert gap.great  # it turned round: no fall of the log explains that
