"""SLOPE takes as much bias as the noise hides, and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from experiments.estimators import ESTIMATORS, Pieces, Tuned, candidates_of, settle
from experiments.estimators.ips import InversePropensity
from experiments.estimators.slope import slope
from experiments.evaluate import evaluate
from experiments.logs import LoggedDecisions
from experiments.reward_models.ridge import cross_fit
from experiments.tally import Tally, clusters_of
from experiments.targets import uniform_target
from experiments.weighing import Weighed

MakeLog = Callable[..., LoggedDecisions]


def tally(value: float, stderr: float) -> Tally:
    """A tally of two customers with just this estimate and this error."""
    return Tally.of(Pieces(np.array([value - stderr, value + stderr])), np.arange(2), 2)


def test_the_tally_of_these_tests() -> None:
    made = tally(3.0, 0.5)
    assert (made.value, made.stderr) == pytest.approx((3.0, 0.5))


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        ([(5.0, 1.0)], 0),
        ([(5.0, 1.0), (5.0, 0.5), (5.0, 0.1)], 2),  # no sign of bias: the least noise
        ([(5.0, 1.0), (4.5, 0.5), (0.0, 0.1)], 1),  # the last contradicts both
        ([(5.0, 0.1), (3.0, 0.1), (5.0, 0.01)], 0),  # nothing is taken beyond a contradiction
        ([(5.0, 1.0), (5.0, 0.1), (4.5, 0.05)], 1),  # contradicts the second, not the first
    ],
)
def test_the_last_one_before_a_contradiction(
    candidates: list[tuple[float, float]], chosen: int
) -> None:
    assert slope([tally(*candidate) for candidate in candidates]) == chosen


def test_the_limit_of_a_contradiction() -> None:
    """|V_1 - V_0| <= z (s_1 + (sqrt 6 - 1) s_0)."""
    limit = 1.959964 * (0.5 + (np.sqrt(6.0) - 1.0) * 1.0)
    assert slope([tally(0.0, 1.0), tally(0.999 * limit, 0.5)]) == 1
    assert slope([tally(0.0, 1.0), tally(1.001 * limit, 0.5)]) == 0


TUNED = [name for name, estimator in ESTIMATORS.items() if isinstance(estimator, Tuned)]


@pytest.mark.parametrize("name", TUNED)
def test_candidates_begin_without_bias_and_lose_noise(
    market: Any, make_log: MakeLog, name: str
) -> None:
    log = make_log(5_000, 1, floor=0.02)
    rows = Weighed(log, market.best(market.read(log), log.allowed), cross_fit(log))
    candidates = candidates_of(ESTIMATORS[name])
    assert [each.biased for each in candidates] == [False] + [True] * (len(candidates) - 1)
    spreads = [float(each.pieces(rows).plain.std()) for each in candidates]
    assert spreads == sorted(spreads, reverse=True) or name in ("cdr", "switch", "dros", "sgdr")
    assert spreads[-1] < spreads[0]


def test_nothing_is_asked_where_there_is_no_choice() -> None:
    def never(_: object) -> Tally:
        raise AssertionError("asked")

    ips = InversePropensity()
    assert candidates_of(ips) == (ips,)
    assert settle(ips, never) is ips


def test_parts_of_a_log_choose_as_the_whole_does(make_log: MakeLog) -> None:
    """A choice from added tallies is that of `pieces` on the whole log."""
    log = make_log(3_000, 2, floor=0.05)
    whole = Weighed(log, uniform_target(log), cross_fit(log))
    clusters, size = clusters_of(log.customer)
    for name in TUNED:
        estimator, tallies = ESTIMATORS[name], []
        for each in candidates_of(estimator):
            parts = []
            for part in (np.arange(3_000) < 1_000, np.arange(3_000) >= 1_000):
                rows = Weighed(log.where(part), whole.target[part], whole.model[part])
                parts.append(Tally.of(each.pieces(rows), clusters[part], size))
            tallies.append(parts[0] + parts[1])
        lookup = dict(zip(candidates_of(estimator), tallies, strict=True))
        chosen = settle(estimator, lookup.__getitem__)
        np.testing.assert_allclose(
            chosen.pieces(whole).plain, estimator.pieces(whole).plain, atol=1e-9
        )


def test_bias_is_found_when_there_is_enough_data(make_log: MakeLog) -> None:
    """With weights that are known to matter, a large log tightens the limit less than a small one.

    Rewards are exact here; `clip=3` loses a share of the value that 40,000 decisions show.
    """
    chosen = []
    for n in (100, 40_000):
        log = make_log(n, 3, floor=0.02)
        object.__setattr__(log, "reward", np.array([0.0, 9.0, 9.0, 9.0, 9.0])[log.action])
        target = np.where(log.allowed, [0.05, 1.0, 1.0, 1.0, 1.0], 0.0)
        target /= target.sum(axis=1, keepdims=True)
        clusters, size = clusters_of(log.customer)
        candidates = candidates_of(ESTIMATORS["clip"])
        pieces = [each.pieces(Weighed(log, target)) for each in candidates]
        chosen.append(slope([Tally.of(piece, clusters, size) for piece in pieces]))
    assert chosen[1] < chosen[0]


def test_what_is_left_to_a_model_may_be_tuned(market: Any, make_log: MakeLog) -> None:
    """Over logs of 300 decisions and great weights, tuned DRs are nearer the truth than DR.

    It is not so for `clip` and `sgips` on longer logs: what they cut off is not replaced by a
    model but lost, and rare rewards hide how much that is.
    """
    errors: dict[str, list[float]] = {name: [] for name in ("dr", "cdr", "switch", "dros", "sgdr")}
    for seed in range(60):
        log = make_log(300, seed, floor=0.02)
        target = market.best(market.read(log), log.allowed)
        rows, truth = Weighed(log, target, cross_fit(log)), market.truth(log, target)
        for name, gaps in errors.items():
            gaps.append(float(ESTIMATORS[name].pieces(rows).plain.mean()) - truth)
    rmse = {name: float(np.sqrt(np.mean(np.square(gaps)))) for name, gaps in errors.items()}
    assert max(rmse, key=lambda name: rmse[name]) == "dr"
    assert rmse["dros"] < 0.9 * rmse["dr"]


def test_an_evaluation_names_the_setting_that_was_chosen(make_log: MakeLog) -> None:
    log = make_log(800, 4, floor=0.05)
    asked = ("snips", "dros", "switch=20", "mrdr")
    found = evaluate(log, uniform_target(log), estimators=asked)
    names = [each.estimator for each in found.estimates]
    assert (names[0], names[2:]) == ("snips", ["switch=20", "mrdr"])
    assert names[1] in {each.name for each in candidates_of(ESTIMATORS["dros"])}
