"""Every estimator keeps the contract and finds a truth that is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.errors import LogError, UnknownNameError
from experiments import checks
from experiments.estimators import ESTIMATORS, Estimator, find_estimator
from experiments.logs import LoggedDecisions
from experiments.reward_models import cross_fit
from experiments.targets import none_target, uniform_target

MakeLog = Callable[..., LoggedDecisions]
UNBIASED = ("ips", "snips", "dr")


@pytest.mark.parametrize("check", checks.ALL_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_contract(name: str, check: checks.Check) -> None:
    check(ESTIMATORS[name])


Terms = NDArray[np.float64]


class Broken:
    """An estimator with one fault."""

    name: ClassVar[str] = "broken"
    needs_model: ClassVar[bool] = False

    def __init__(self, fault: Callable[[LoggedDecisions, Terms, Terms, Terms], Terms]) -> None:
        self.fault = fault

    def terms(self, log: LoggedDecisions, target: Terms, q_hat: Terms) -> Terms:
        weights = target[np.arange(len(log)), log.action] / log.propensity
        return np.asarray(self.fault(log, weights, weights * log.reward, q_hat))


def meddle(log: LoggedDecisions, weights: Terms, terms: Terms, q_hat: Terms) -> Terms:
    log.reward[0] += 1.0
    return terms


@pytest.mark.parametrize(
    ("check", "fault", "message"),
    [
        (checks.check_shape_and_finite, lambda log, w, terms, q: terms[1:],
         r"expected shape \(400,\), got \(399,\)"),
        (checks.check_shape_and_finite, lambda log, w, terms, q: np.where(w == w[3], np.nan, terms),
         "expected finite terms, got 1 that are not"),
        (checks.check_logging_policy, lambda log, w, terms, q: terms * log.propensity,
         "expected the mean reward"),
        (checks.check_constant_reward, lambda log, w, terms, q: terms / 2.0,
         "expected 3 within 0.[0-9]* for a constant reward of 3, got 1.5"),
        (checks.check_scale, lambda log, w, terms, q: np.minimum(terms, 10.0),
         "expected 100 times the terms for 100 times the rewards"),
        (checks.check_pure, meddle, "expected the same answer twice"),
        (checks.check_ignores_model, lambda log, w, terms, q: terms + q.mean() * (w - 1.0),
         "expected needs_model to be True, got False"),
    ],
)  # fmt: skip
def test_each_check_finds_its_fault(
    check: checks.Check,
    fault: Callable[[LoggedDecisions, Terms, Terms, Terms], Terms],
    message: str,
) -> None:
    with pytest.raises(AssertionError, match=f"^broken: {message}"):
        check(Broken(fault))
    check(Broken(lambda log, weights, terms, q_hat: terms))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="no estimator 'snip'; did you mean"):
        find_estimator("snip")


def answers(log: LoggedDecisions, target: NDArray[np.float64], name: str) -> tuple[float, float]:
    """The estimate and its standard error."""
    estimator: Estimator = ESTIMATORS[name]
    q_hat = cross_fit(log) if estimator.needs_model else np.zeros_like(target)
    terms = estimator.terms(log, target, q_hat)
    return float(terms.mean()), float(terms.std(ddof=1)) / np.sqrt(len(log))


@pytest.mark.parametrize("name", UNBIASED)
@pytest.mark.parametrize("kind", ["uniform", "best", "none"])
def test_the_truth_is_within_four_standard_errors(
    market: Any, make_log: MakeLog, name: str, kind: str
) -> None:
    log = make_log(20_000, 11)
    target = {
        "uniform": uniform_target(log),
        "best": market.best(market.read(log), log.allowed),
        "none": none_target(log),
    }[kind]
    truth = market.truth(log, target)
    value, stderr = answers(log, target, name)
    assert abs(value - truth) <= 4.0 * stderr
    assert stderr < 0.6  # EUR; or the test would pass with anything


def test_wrong_propensities_are_noticed(market: Any, make_log: MakeLog) -> None:
    """The same test fails by far on a log that lies, so it can fail."""
    log = make_log(20_000, 11)
    object.__setattr__(log, "propensity", np.sqrt(log.propensity))
    target = uniform_target(log)
    truth = market.truth(log, target)
    value, stderr = answers(log, target, "ips")
    assert abs(value - truth) > 4.0 * stderr


def test_doubly_robust_survives_a_wrong_model_and_gains_from_a_true_one(
    market: Any, make_log: MakeLog
) -> None:
    log = make_log(20_000, 12)
    target = uniform_target(log)
    truth = market.truth(log, target)
    dr, ips = ESTIMATORS["dr"], ESTIMATORS["ips"]
    wrong = dr.terms(log, target, np.full_like(target, 50.0))
    right = dr.terms(log, target, market.means(market.read(log)))
    assert abs(wrong.mean() - truth) <= 4.0 * wrong.std() / np.sqrt(len(log))
    assert right.std() < ips.terms(log, target, np.zeros_like(target)).std()


def test_snips_has_the_delta_method_error(make_log: MakeLog) -> None:
    log = make_log(500, 13)
    target = uniform_target(log)
    w = target[np.arange(500), log.action] / log.propensity
    value = (w @ log.reward) / w.sum()
    expected = np.sqrt(np.sum(w**2 * (log.reward - value) ** 2)) / w.sum()
    terms = ESTIMATORS["snips"].terms(log, target, target)
    assert terms.mean() == pytest.approx(value, rel=1e-12)
    assert terms.std() / np.sqrt(500) == pytest.approx(expected, rel=1e-12)


def test_snips_refuses_a_target_that_is_never_drawn(make_log: MakeLog) -> None:
    log = make_log(50, 14)
    log = log.where(log.action != 0)
    with pytest.raises(LogError, match="got none, so its value cannot be estimated"):
        ESTIMATORS["snips"].terms(log, none_target(log), none_target(log))
