"""Every estimator keeps the contract and finds a truth that is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.errors import LogError, UnknownNameError
from experiments import checks
from experiments.estimators import ESTIMATORS, HEADLINE, Estimator, Pieces, find_estimator
from experiments.estimators.balanced import mixture
from experiments.estimators.replay import kept
from experiments.evaluate import evaluate
from experiments.logs import LoggedDecisions
from experiments.reward_models.ridge import cross_fit
from experiments.reward_models.robust import fit_robust
from experiments.tally import Tally
from experiments.targets import none_target, uniform_target
from experiments.weighing import Weighed

MakeLog = Callable[..., LoggedDecisions]
UNBIASED = ("ips", "snips", "dr", "sndr", "mrdr")
SETTINGS = (
    "clip=1", "clip=20", "cdr=5", "switch=0.5", "switch=20", "dros=0.1", "dros=100", "sgips=0",
    "sgips=1", "sgips=0.01", "sgdr=0.1", "mips=offer", "mips=channel", "mips=offer+window",
)  # fmt: skip


@pytest.mark.parametrize("check", checks.ALL_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", [*ESTIMATORS, *SETTINGS])
def test_contract(name: str, check: checks.Check) -> None:
    check(find_estimator(name))


Terms = NDArray[np.float64]


class Broken:
    """An estimator with one fault."""

    name: ClassVar[str] = "broken"
    needs_model: ClassVar[bool] = False

    def __init__(
        self,
        fault: Callable[[LoggedDecisions, Terms, Terms, Terms], Terms],
        *,
        biased: bool = False,
    ) -> None:
        self.fault, self.biased = fault, biased

    def pieces(self, rows: Weighed) -> Pieces:
        terms = rows.weights * rows.log.reward
        return Pieces(np.asarray(self.fault(rows.log, rows.weights, terms, rows.model)))


def meddle(log: LoggedDecisions, weights: Terms, terms: Terms, q_hat: Terms) -> Terms:
    log.reward[0] += 1.0
    return terms


@pytest.mark.parametrize(
    ("check", "fault", "message"),
    [
        (checks.check_shape_and_finite, lambda log, w, terms, q: terms[1:],
         r"expected shape \(400,\), got \(399,\)"),
        (checks.check_shape_and_finite, lambda log, w, terms, q: np.where(w == w[3], np.nan, terms),
         "expected finite pieces, got 1 that are not"),
        (checks.check_rows_alone, lambda log, w, terms, q: terms / w.mean(),
         "expected the same pieces without the other decisions, got a gap of"),
        (checks.check_logging_policy, lambda log, w, terms, q: terms * log.propensity,
         "expected the mean reward"),
        (checks.check_constant_reward, lambda log, w, terms, q: terms / 2.0,
         "expected 3 within 0.[0-9]* for a constant reward of 3, got 1.5"),
        (checks.check_biased, lambda log, w, terms, q: np.minimum(w, 1.0) * log.reward,
         r"expected 4\.[0-9]* within 0.[0-9]* with a wrong model, got .*; is it biased\?"),
        (checks.check_biased, lambda log, w, terms, q: terms + 0.1 * q[:, 0],
         r"expected 4\.[0-9]* within 0.[0-9]* with a wrong model, got .*; is it biased\?"),
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


def tally(
    log: LoggedDecisions, target: Terms, estimator: Estimator, q_hat: Terms | None = None
) -> Tally:
    """The estimate and its standard error; every decision is a customer's only one."""
    if q_hat is None and estimator.needs_model:
        q_hat = cross_fit(log)
    robust = fit_robust(log, target) if estimator.name == "mrdr" else None
    pieces = estimator.pieces(Weighed(log, target, q_hat, robust=robust))
    return Tally.of(pieces, np.arange(len(log)), len(log))


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
    found = tally(log, target, ESTIMATORS[name])
    assert abs(found.value - truth) <= 4.0 * found.stderr
    assert found.stderr < 0.6  # EUR; or the test would pass with anything


def test_wrong_propensities_are_noticed(market: Any, make_log: MakeLog) -> None:
    """The same test fails by far on a log that lies, so it can fail."""
    log = make_log(20_000, 11)
    object.__setattr__(log, "propensity", np.sqrt(log.propensity))
    target = uniform_target(log)
    truth = market.truth(log, target)
    found = tally(log, target, ESTIMATORS["ips"])
    assert abs(found.value - truth) > 4.0 * found.stderr


def test_doubly_robust_survives_a_wrong_model_and_gains_from_a_true_one(
    market: Any, make_log: MakeLog
) -> None:
    log = make_log(20_000, 12)
    target = uniform_target(log)
    truth = market.truth(log, target)
    dr, ips = ESTIMATORS["dr"], ESTIMATORS["ips"]
    wrong = tally(log, target, dr, np.full_like(target, 50.0))
    right = tally(log, target, dr, market.means(market.read(log)))
    assert abs(wrong.value - truth) <= 4.0 * wrong.stderr
    assert right.stderr < tally(log, target, ips).stderr


def test_snips_has_the_delta_method_error(make_log: MakeLog) -> None:
    log = make_log(500, 13)
    target = uniform_target(log)
    w = target[np.arange(500), log.action] / log.propensity
    value = (w @ log.reward) / w.sum()
    expected = np.sqrt(np.sum(w**2 * (log.reward - value) ** 2)) / w.sum()
    found = tally(log, target, ESTIMATORS["snips"])
    assert found.value == pytest.approx(value, rel=1e-12)
    assert found.stderr == pytest.approx(np.sqrt(500 / 499) * expected, rel=1e-12)


def test_snips_refuses_a_target_that_is_never_drawn(make_log: MakeLog) -> None:
    log = make_log(50, 14)
    log = log.where(log.action != 0)
    with pytest.raises(LogError, match="got none, so its value cannot be estimated"):
        _ = tally(log, none_target(log), ESTIMATORS["snips"]).value


def test_a_biased_estimator_may_say_less_but_never_more() -> None:
    checks.check_constant_reward(Broken(lambda log, w, terms, q: terms / 2.0, biased=True))
    with pytest.raises(AssertionError, match="expected at most 3 within .*, got 6"):
        checks.check_constant_reward(Broken(lambda log, w, terms, q: terms * 2.0, biased=True))
    checks.check_biased(Broken(lambda log, w, terms, q: terms / 2.0, biased=True))


class Lopsided(Broken):
    """A ratio with a fault of its own."""

    def __init__(self, under: Callable[[Terms], Terms | None]) -> None:
        super().__init__(lambda log, w, terms, q: terms)
        self.under = under

    def pieces(self, rows: Weighed) -> Pieces:
        return Pieces(rows.weights, rows.weights, self.under(rows.weights))


def test_a_ratio_has_both_parts_and_weights_of_one_sign() -> None:
    with pytest.raises(AssertionError, match="both a numerator and a denominator"):
        checks.check_shape_and_finite(Lopsided(lambda w: None))
    with pytest.raises(AssertionError, match="no negative weight under a ratio"):
        checks.check_shape_and_finite(Lopsided(lambda w: w - 1.0))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("switc=3", "no estimator 'switc'; did you mean 'switch'"),
        ("ips=3", "'ips' has no setting, got 'ips=3'; those that have one are clip, cdr"),
        ("clip=x", "clip: expected a number behind the equals sign, got 'x'"),
        ("clip=0.5", "clip: expected a limit of 1 or more, got 0.5"),
        ("cdr=inf", "cdr: expected a limit of 1 or more, got inf"),
        ("switch=nan", "switch: expected a limit above 0, got nan"),
        ("dros=0", "dros: expected a scale above 0, got 0"),
        ("sgips=1.1", "sgips: expected a number from 0 to 1, got 1.1"),
        ("sgdr=-1", "sgdr: expected a number from 0 to 1, got -1"),
        ("mips=ofer", "mips: expected attributes .* got 'ofer'; did you mean 'offer'"),
        ("mips=offer+offer", "mips: expected each attribute once"),
        ("mips=", "mips: expected attributes .* got ''"),
    ],
)
def test_a_wrong_setting_is_refused(name: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        find_estimator(name)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_part_of_the_name(name: str) -> None:
    assert find_estimator(name).name == name


def test_only_two_are_the_headline() -> None:
    assert HEADLINE == ("snips", "dr")
    assert not any(ESTIMATORS[name].biased for name in HEADLINE)


@pytest.mark.parametrize(
    ("loose", "tight", "without"),
    [
        ("clip=1e9", "clip=1", "ips"), ("sgips=0", "sgips=1", "ips"),
        ("cdr=1e9", "cdr=1", "dr"), ("switch=1e9", "switch=0.01", "dr"),
        ("dros=1e12", "dros=1e-9", "dr"), ("sgdr=0", "sgdr=1", "dr"),
    ],
)  # fmt: skip
def test_a_setting_leads_from_no_bias_to_no_noise(
    market: Any, make_log: MakeLog, loose: str, tight: str, without: str
) -> None:
    log = make_log(2_000, 15, floor=0.02)
    target, q_hat = market.best(market.read(log), log.allowed), cross_fit(log)
    free, bound, plain = (
        tally(log, target, find_estimator(name), q_hat) for name in (loose, tight, without)
    )
    assert free.value == pytest.approx(plain.value, rel=1e-6)
    assert bound.stderr < 0.9 * plain.stderr


@pytest.mark.parametrize("name", ["switch=1e-9", "dros=1e-12"])
def test_without_any_weight_the_model_alone_is_left(make_log: MakeLog, name: str) -> None:
    log = make_log(500, 16)
    target, q_hat = uniform_target(log), cross_fit(log)
    shrunk, dm = (tally(log, target, find_estimator(n), q_hat) for n in (name, "dm"))
    assert shrunk.value == pytest.approx(dm.value, abs=1e-9)


def test_sub_gaussian_weights_have_a_limit(make_log: MakeLog) -> None:
    log = make_log(200, 17)
    rare = replace(log, propensity=np.full(200, 1e-9), reward=np.ones(200))
    pieces = find_estimator("sgips=0.01").pieces(Weighed(rare, uniform_target(log)))
    assert pieces.plain.max() == pytest.approx(100.0)


def test_sndr_by_hand(make_log: MakeLog) -> None:
    log = make_log(300, 18)
    target, q_hat = uniform_target(log), cross_fit(log)
    rows = np.arange(300)
    w = target[rows, log.action] / log.propensity
    expected = (target * q_hat).sum(axis=1).mean()
    expected += w @ (log.reward - q_hat[rows, log.action]) / w.sum()
    assert tally(log, target, ESTIMATORS["sndr"], q_hat).value == pytest.approx(expected)


def test_mips_weighs_what_actions_have_in_common(make_log: MakeLog) -> None:
    log = make_log(400, 19)
    target, rows = uniform_target(log), np.arange(400)
    offers = np.array([0, 1, 1, 2, 2])  # none, plan, credit
    same = offers == offers[log.action][:, None]
    w = (target * same).sum(axis=1) / (log.distribution * same).sum(axis=1)
    pieces = find_estimator("mips=offer").pieces(Weighed(log, target))
    np.testing.assert_allclose(pieces.plain, w * log.reward)
    assert w.std() < (target[rows, log.action] / log.propensity).std()


def test_mips_is_right_only_if_its_assumption_is(market: Any, make_log: MakeLog) -> None:
    """Rewards that the offer decides are valued with less noise; those of the variant wrongly."""
    log = make_log(20_000, 20)
    target = np.where(log.allowed, [1.0, 9.0, 1.0, 9.0, 1.0], 0.0)
    target /= target.sum(axis=1, keepdims=True)
    by_offer = np.array([0.0, 5.0, 5.0, 2.0, 2.0])
    by_variant = np.array([0.0, 9.0, 1.0, 2.0, 2.0])
    for means, right in ((by_offer, True), (by_variant, False)):
        told = replace(log, reward=means[log.action])
        truth = float((target @ means).mean())
        mips, ips = (tally(told, target, find_estimator(n)) for n in ("mips=offer", "ips"))
        assert (abs(mips.value - truth) <= 4.0 * mips.stderr) == right
        assert mips.stderr < 0.8 * ips.stderr


def test_mips_refuses_a_log_of_drawn_probabilities_only(make_log: MakeLog) -> None:
    log = replace(make_log(50, 21), whole=False)
    rows = Weighed(log, uniform_target(log))
    for name in ("mips=offer", "mips"):
        with pytest.raises(LogError, match="expected a log with the probability of every action"):
            find_estimator(name).pieces(rows)


def two_loggers(market: Any, make_log: MakeLog) -> tuple[LoggedDecisions, list[Terms]]:
    """The log of an even policy, then that of one with a small floor; both at all decisions."""
    first, second = make_log(4_000, 22, floor=1.0), make_log(8_000, 23, floor=0.002)
    arrays: dict[str, Any] = {
        name: np.concatenate([value, getattr(second, name)])
        for name, value in vars(first).items()
        if isinstance(value, np.ndarray)
    }
    log = replace(first, **arrays)
    x = market.read(log)
    return log, [market.logging(x, log.allowed, floor) for floor in (1.0, 0.002)]


def test_balanced_weights_value_the_log_of_two_policies(market: Any, make_log: MakeLog) -> None:
    log, loggers = two_loggers(market, make_log)
    target = uniform_target(log)
    mixed = mixture(log, loggers, (1 / 3, 2 / 3))
    rows = Weighed(log, target, mixture=mixed)
    found = Tally.of(ESTIMATORS["bips"].pieces(rows), np.arange(len(log)), len(log))
    assert abs(found.value - market.truth(log, target)) <= 4.0 * found.stderr
    asked = evaluate(log, target, estimators=("bips",), mixture=mixed).by("bips")
    assert asked.value == pytest.approx(found.value)
    balanced = rows.drawn(target) / mixed
    assert balanced.max() <= 3.0 + 1e-9  # a third of the log was uniform
    assert rows.weights.max() > 10.0


def test_balanced_weights_refuse_what_they_cannot_know(market: Any, make_log: MakeLog) -> None:
    log, loggers = two_loggers(market, make_log)
    with pytest.raises(LogError, match="under the mixture of all policies .* got none"):
        ESTIMATORS["bips"].pieces(Weighed(log, loggers[0]))
    for shares in ((1.0,), (0.5, 0.6), (1.0, 0.0)):
        with pytest.raises(ValueError, match="expected a share above 0 for each of 2 loggers"):
            mixture(log, loggers, shares)
    with pytest.raises(LogError, match="could draw, got"):
        mixture(log, [none_target(log)], (1.0,))


def test_replay_is_the_mean_of_what_it_keeps(make_log: MakeLog) -> None:
    log = make_log(1_000, 24, floor=1.0)
    log = log.where(np.asarray(log.allowed.all(axis=1)))
    target = np.tile(np.eye(5)[3], (len(log), 1))
    same = log.action == 3
    assert tally(log, target, ESTIMATORS["replay"]).value == pytest.approx(log.reward[same].mean())
    assert kept(Weighed(log, target)) == same.sum()


def test_replay_is_not_misled_by_masks(market: Any, make_log: MakeLog) -> None:
    log = make_log(20_000, 25, floor=1.0)
    target = market.best(market.read(log), log.allowed)
    found = tally(log, target, ESTIMATORS["replay"])
    assert abs(found.value - market.truth(log, target)) <= 4.0 * found.stderr


def test_replay_refuses_decisions_that_were_not_drawn_uniformly(make_log: MakeLog) -> None:
    log = make_log(50, 26)
    with pytest.raises(LogError, match=r"replay: decision d\d+: expected a probability of 0\.\d+"):
        ESTIMATORS["replay"].pieces(Weighed(log, uniform_target(log)))


def test_mrdr_refuses_to_go_without_its_model(make_log: MakeLog) -> None:
    log = make_log(50, 27)
    with pytest.raises(LogError, match="mrdr: expected a reward model that was fitted for this"):
        ESTIMATORS["mrdr"].pieces(Weighed(log, uniform_target(log), uniform_target(log)))
