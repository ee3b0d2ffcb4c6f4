from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from agents.errors import StateError, UnknownNameError
from agents.load import load_workspace
from agents.revision import Revision
from simulators.compare import (
    Arm,
    Comparison,
    arm,
    compare,
    distinct,
    with_learner,
    without_guardrails,
)
from simulators.compare.arms import documents, without_floor
from simulators.compare.comparison import drift_of
from simulators.compare.kpis import KPIS, figures, paired, share_of
from simulators.compare.life import UNCHECKED, Life, live
from simulators.compare.plot import check_plot, draw_plot
from simulators.compare.reach import reach
from simulators.compare.recovery import possible_gain, recovery_days, skill
from simulators.compare.table import comparison_table
from simulators.world import World
from simulators.worlds import create_world
from simulators.worlds.from_file import world_of
from simulators.worlds.heavy_drift import HeavyDrift


@pytest.fixture(scope="module")
def found(revision: Revision) -> Comparison:
    own = arm(revision)
    arms = own, with_learner(own, "uniform"), without_guardrails(own)
    return compare("telecom", arms, customers=40, rounds=3, seed=2)


def life(name: str, gains: list[float], possible: float = 10.0, **parts: object) -> Life:
    """Make a life of two customers in which each round gains so much of what is possible.

    Chance gains nothing.
    """
    value = np.repeat(np.array(gains)[:, None], 2, axis=1)
    none = np.zeros_like(value)
    made = Life(
        name=name, days=np.arange(0.0, 7.0 * len(gains), 7.0, dtype=np.float64),
        value=value, best=none + possible, idle=none, uniform=none,
        contacts=(value > 0.0).astype(float), withdrawn=np.zeros(2), reachable=np.ones(2),
        breaches=0,
    )  # fmt: skip
    return replace(made, **parts)  # type: ignore[arg-type]


def test_arms_decide_for_everybody_and_differ_in_what_they_say(revision: Revision) -> None:
    own = arm(revision)
    other = with_learner(own, "greedy")
    bare, sure = without_guardrails(own), without_floor(own)
    assert (own.name, other.name) == ("retention", "retention: greedy")
    assert own.revision.agent.holdout.random == 0.0
    assert other.revision.agent.policy.learner == "greedy"
    assert bare.revision.agent.guardrails == bare.revision.workspace.guardrails == {}
    assert sure.revision.agent.policy.floor == 0.0 < own.revision.agent.policy.floor
    assert len({each.revision.id for each in (own, other, bare, sure)}) == 4


def test_an_arm_that_is_there_already_is_left_out_and_a_name_stands_for_one(
    revision: Revision,
) -> None:
    own = arm(revision)
    same = with_learner(own, revision.agent.policy.learner)
    assert distinct([own, same]) == (own,)
    with pytest.raises(ValueError, match="expected arms of different names, got retention twice"):
        distinct([own, arm(without_guardrails(own).revision, "retention")])
    with pytest.raises(UnknownNameError, match="did you mean 'uniform'"):
        with_learner(own, "unifrom")


def test_documents_are_the_revision_that_the_checker_reads(revision: Revision) -> None:
    bare = without_guardrails(arm(revision)).revision
    with documents(bare) as folder:
        assert load_workspace(folder).revisions["retention"].id == bare.id


def test_every_arm_meets_the_same_customers_and_breaks_no_rule(found: Comparison) -> None:
    assert list(found.figures) == [
        "retention", "retention: uniform", "retention: no guardrails",
    ]  # fmt: skip
    for row in found.figures.values():
        assert row.keys() == {kpi.key for kpi in KPIS}
        assert row["breaches"].value == 0.0
    first, *_, bare = found.figures.values()
    assert first["incremental"].difference == 0.0 == first["incremental"].difference_error
    assert bare["contacts"].value > first["contacts"].value
    assert found.untouched.contacts.sum() == 0.0
    assert np.array_equal(found.untouched.value[0], found.lives[0].idle[0])  # nothing sent yet
    assert np.all(found.best.value <= found.best.best)  # it may spare a customer for later


def test_the_same_seed_gives_the_same_comparison(revision: Revision, found: Comparison) -> None:
    own = arm(revision)
    again = compare("telecom", [own], customers=40, rounds=3, seed=2)
    assert np.array_equal(again.lives[0].value, found.lives[0].value)


def test_unchecked_arms_are_played_as_arrays(revision: Revision, found: Comparison) -> None:
    own = with_learner(arm(revision), "uniform")
    fast = compare("telecom", [own], checked=False, customers=40, rounds=3, seed=2)
    (figures_of,) = fast.figures.values()
    assert fast.lives[0].breaches == UNCHECKED
    assert math.isnan(figures_of["breaches"].value)
    assert np.allclose(fast.lives[0].value, found.lives[1].value, rtol=1e-9, atol=1e-9)


def test_a_world_without_arrays_is_compared_all_the_same(revision: Revision) -> None:
    found = compare("retention", [arm(revision)], customers=15, rounds=2)
    assert found.figures["retention"]["breaches"].value == 0.0
    assert found.best.value.sum() >= found.untouched.value.sum()
    with pytest.raises(ValueError, match="arms: expected at least one, got none"):
        compare("retention", [])


def test_figures_against_sums_by_hand() -> None:
    none, best = life("none", [0.0, 0.0]), life("oracle", [10.0, 10.0])
    one = life("one", [2.0, 4.0])
    two = life("two", [5.0, 5.0], withdrawn=np.array([1.0, 0.0]), reachable=np.array([0.0, 1.0]))
    first, second = figures([one, two], none, best, drift=None)
    assert first["incremental"].value == 6_000.0
    assert second["incremental"].difference == 4_000.0
    assert first["headroom"].value == pytest.approx(0.3)
    assert second["headroom"].difference == pytest.approx(0.2)
    assert first["regret"].value == 14_000.0
    assert second["unsubscribes"].value == 500.0
    assert second["reachable"].difference == -0.5
    assert second["contacts"].value == 2.0
    assert second["none"].value == 0.0
    assert math.isnan(second["recovery"].value)


def test_errors_are_those_of_pairs() -> None:
    generator = np.random.default_rng(1)
    luck = generator.normal(0.0, 10.0, 2_000)  # the same in both lives
    figure = paired(luck + generator.normal(1.0, 1.0, 2_000), luck)
    assert figure.difference_error == pytest.approx(1.0 / math.sqrt(2_000), rel=0.1)
    assert figure.error == pytest.approx(10.0 / math.sqrt(2_000), rel=0.1)
    low, high = figure.interval
    assert low < 1.0 < high
    most = np.full(2_000, 4.0)
    share = share_of(luck + 1.0, luck, most)
    assert share.difference == pytest.approx(0.25)
    assert share.difference_error == pytest.approx(0.0)
    assert math.isnan(share_of(luck, luck, np.zeros(2_000)).value)
    assert math.isnan(paired(np.ones(1), np.ones(1)).error)


def test_recovery_is_told_in_days_from_the_drift() -> None:
    gains = [1.0, 8.0, 8.0, 2.0, 5.0, 7.2, 7.4, 8.0]
    assert recovery_days(life("back", gains), 21.0) == 28.0  # (7.2 + 7.4) / 2 is 91% of 8
    assert recovery_days(life("unharmed", [8.0, 8.0, 8.0, 7.5]), 21.0) == 7.0
    assert recovery_days(life("never", [8.0, 8.0, 8.0, 1.0, 1.0]), 21.0) == math.inf
    assert math.isnan(recovery_days(life("still", gains), None))
    assert math.isnan(recovery_days(life("new", gains), 0.0))
    assert math.isnan(recovery_days(life("over", gains), 400.0))
    assert math.isnan(recovery_days(life("knew nothing", [0.1, 0.1, 0.1, 5.0]), 14.0))
    assert np.isnan(possible_gain(life("dull", [0.0], possible=0.0))).all()


def test_skill_does_not_fall_because_effects_fade() -> None:
    """A message costs 3, and works half as well in the second half of a learner's life."""
    strong = np.repeat([8.0, 4.0], 4)[:, None] + np.zeros(2)
    best, uniform = strong - 3.0, strong / 4 - 3.0
    made = life("fading", [0.0] * 8, value=uniform + 0.5 * (best - uniform), best=best)
    made = replace(made, uniform=uniform)
    assert skill(made, 0.0, 28.0) == pytest.approx(0.5)
    assert skill(made, 28.0, 56.0) == pytest.approx(0.5)
    assert possible_gain(made)[-1] < 0.0 < possible_gain(made)[0]
    assert recovery_days(made, 28.0) == 7.0
    assert math.isnan(skill(made, 1.0, 3.0))


def test_who_forgets_finds_its_way_sooner_after_a_drift(revision: Revision) -> None:
    """After ten weeks of learning, offers change what they do; nothing else does."""
    first, day = HeavyDrift.spec.drift[0], 70
    drift = (first.model_copy(update={"day": day}),)
    kind = world_of(HeavyDrift.spec.model_copy(update={"drift": drift, "lives": ()}), HeavyDrift)
    own = arm(revision)
    days = []
    for half_life in (14, 0):  # 0 keeps all
        policy = own.revision.agent.policy.model_copy(update={"settings": {"half_life": half_life}})
        agent = own.revision.agent.model_copy(update={"policy": policy})
        learner = Arm(f"half-life {half_life}", Revision(own.revision.workspace, agent))
        market = kind(learner.revision, customers=800, rounds=15, seed=3)
        days.append(recovery_days(live(market, learner, checked=False), day))
    forgets, keeps = days
    assert forgets <= 21.0 < keeps


def test_only_a_market_that_drifts_has_a_day_of_drift(world: World, revision: Revision) -> None:
    assert drift_of(world) is None
    assert drift_of(create_world("telecom", revision, customers=60)) is None


def test_reach_follows_consent_and_who_has_gone(revision: Revision) -> None:
    market = create_world("telecom", revision, customers=60, rounds=2)
    found = reach(market, market.start)
    features = [market.features(row, market.start) for row in range(60)]
    for place, channel in enumerate(("email", "push", "sms")):
        given = [row.get(f"consent_{channel}") is True for row in features]
        assert found.open[:, place].tolist() == given
    assert found.reachable.tolist() == found.open.any(axis=1).tolist()
    gone = found._replace(there=np.zeros(60, dtype=np.bool_))
    assert not gone.reachable.any()


def test_the_table_shows_each_figure_and_its_difference(found: Comparison) -> None:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(comparison_table(found))
    printed = capture.get()
    assert "World telecom: 40 customers, 3 rounds each" in printed
    for words in ("incremental EUR per 1,000", "unsubscribes per 1,000, day 21", "uniform", " ± "):
        assert words in printed
    assert "recovery" not in printed  # there is no drift to recover from


@pytest.mark.parametrize(("suffix", "begins"), [(".png", b"\x89PNG"), (".svg", b"<?xml")])
def test_the_plot_is_a_picture(
    found: Comparison, tmp_path: Path, suffix: str, begins: bytes
) -> None:
    draw_plot(found, tmp_path / f"plot{suffix}")
    assert (tmp_path / f"plot{suffix}").read_bytes().startswith(begins)


def test_a_place_that_no_picture_can_be_written_to_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"expected a file that ends in .png or .svg"):
        check_plot(tmp_path / "plot.gif")
    with pytest.raises(StateError, match="is no folder"):
        check_plot(tmp_path / "nowhere" / "plot.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(StateError, match="cannot be written; name another file"):
        check_plot(tmp_path / "folder.png")
