"""Lift is counted per customer, with those who brought nothing, and withheld if groups are off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from agents.context import Context
from agents.errors import LogError
from agents.groups import Group, assign
from agents.revision import Revision
from agents.spec import Holdout, UniversalControl
from experiments.lift import expected_holdout, lift, sample_ratio
from experiments.logs import LoggedDecisions

MakeLog = Callable[..., LoggedDecisions]
HOLDOUT = Holdout(control=0.2, random=0.2)


def grouped(
    log: LoggedDecisions, group: list[str], customer: list[str], reward: list[float]
) -> LoggedDecisions:
    return replace(
        log.where(np.arange(len(log)) < len(group)),
        group=np.array(group, dtype=object),
        customer=np.array(customer, dtype=object),
        reward=np.array(reward),
        outcome_value=np.array(reward),
    )


def market_log(make_log: MakeLog, n: int, shares: tuple[float, ...], seed: int) -> LoggedDecisions:
    """Two decisions a customer; the treatment group earns 80 twice as often."""
    log = make_log(n, seed)
    rng = np.random.default_rng(seed)
    names = [f"c{i // 2}" for i in range(n)]
    groups = rng.choice(["treatment", "random", "control"], n // 2, p=shares)
    per_row = np.repeat(groups, 2).tolist()
    rate = np.where(np.array(per_row) == "treatment", 0.2, 0.1)
    return grouped(log, per_row, names, (80.0 * (rng.random(n) < rate)).tolist())


def test_totals_are_per_customer(make_log: MakeLog) -> None:
    log = grouped(
        make_log(7, 1),
        ["treatment"] * 4 + ["control"] * 3,
        ["a", "a", "b", "c", "d", "e", "e"],
        [10.0, 20.0, 0.0, 0.0, 5.0, 1.0, 0.0],
    )
    found = lift(log)
    treatment, control = found.groups
    assert (treatment.group, treatment.customers, treatment.decisions) == ("treatment", 3, 4)
    assert treatment.value == pytest.approx(1_000 * 30 / 3)
    assert control.value == pytest.approx(1_000 * 6 / 2)
    (difference,) = found.differences
    assert (difference.group, difference.over) == ("treatment", "control")
    assert difference.value == pytest.approx(10_000 - 3_000)
    assert difference.low < 0 < difference.high
    assert not difference.enough
    assert np.isnan(found.ratio_p)
    assert not found.mismatch


def test_a_lift_that_is_there_is_found(make_log: MakeLog) -> None:
    log = market_log(make_log, 12_000, (0.6, 0.2, 0.2), 2)
    found = lift(log, holdout=HOLDOUT)
    assert [g.group for g in found.groups] == ["treatment", "random", "control"]
    over = found.over("treatment", "control")
    assert 0.0 < over.low < 16_000 < over.high  # two decisions, 10 points, 80 each
    assert over.enough
    nothing = found.over("random", "control")
    assert nothing.low < 0.0 < nothing.high
    assert found.ratio_p > 1e-3


def test_the_order_of_decisions_within_a_customer_does_not_matter(make_log: MakeLog) -> None:
    log = market_log(make_log, 600, (0.6, 0.2, 0.2), 3)
    one, two = lift(log), lift(log.where(np.ones(600, dtype=np.bool_)))
    assert one == two or np.isnan(one.ratio_p)
    assert one.differences == two.differences


def test_who_changed_group_is_left_out(make_log: MakeLog) -> None:
    log = market_log(make_log, 600, (0.6, 0.2, 0.2), 4)
    group = log.group.copy()
    group[:2] = ["treatment", "control"]
    found = lift(replace(log, group=group))
    assert found.moved == 1
    assert sum(g.customers for g in found.groups) == 299


def test_groups_that_contradict_their_shares_are_noticed(make_log: MakeLog) -> None:
    found = lift(market_log(make_log, 6_000, (0.5, 0.2, 0.3), 5), holdout=HOLDOUT)
    assert found.mismatch
    assert found.ratio_p < 1e-3


def test_sample_ratio_by_hand() -> None:
    assert sample_ratio([600, 200, 200], HOLDOUT) == 1.0
    # chi-square ((620-600)^2/600 + 2 (190-200)^2/200) = 5/3 on 2 degrees: p = exp(-5/6)
    assert sample_ratio([620, 190, 190], HOLDOUT) == pytest.approx(np.exp(-5 / 6))
    none_held = Holdout(control=0.0, random=0.0)
    assert sample_ratio([10, 0, 0], none_held) == 1.0
    assert sample_ratio([10, 0, 1], none_held) == 0.0


def test_a_log_without_groups_to_compare_is_refused(make_log: MakeLog) -> None:
    with pytest.raises(LogError, match="at least two customers, got none"):
        lift(grouped(make_log(2, 6), ["control", "random"], ["a", "b"], [1.0, 2.0]))


def test_false_alarms_are_as_rare_as_promised(make_log: MakeLog) -> None:
    """Two groups alike: a 95% interval misses 0 in about 5% of 200 draws (standard error 1.5%)."""
    log, misses = make_log(800, 7), 0
    rng = np.random.default_rng(7)
    for _ in range(200):
        reward = 80.0 * (rng.random(800) < 0.05)
        groups = np.where(np.arange(800) % 4 == 0, "control", "treatment").tolist()
        names = [f"c{i}" for i in range(800)]
        found = lift(grouped(log, groups, names, reward.tolist())).over("treatment", "control")
        misses += not found.low <= 0.0 <= found.high
    assert misses / 200 <= 0.05 + 4 * 0.0154


@pytest.mark.parametrize(
    ("universal", "own", "expected"),
    [
        (None, {}, (0.1, 0.1)),
        ({"share": 0.0}, {}, (0.1, 0.1)),
        ({"share": 0.5}, {}, (0.55, 0.05)),
        ({"share": 1.0}, {}, None),
        ({"share": 0.5, "salt": "1"}, {}, None),  # drawn by the same hash, so not independent
        (None, {"managed": "plan"}, None),
    ],
)
def test_the_universal_control_is_part_of_the_expected_shares(
    revision: Revision,
    universal: dict[str, Any] | None,
    own: dict[str, Any],
    expected: tuple[float, float] | None,
) -> None:
    control = None if universal is None else UniversalControl(**universal)
    workspace = revision.workspace.model_copy(update={"universal_control": control})
    holdout = Holdout(**{"control": 0.1, "random": 0.1} | own)
    agent = revision.agent.model_copy(update={"holdout": holdout})
    found = expected_holdout(workspace, agent)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert (found.control, found.random) == pytest.approx(expected)


def test_universal_controls_are_no_mismatch(revision: Revision) -> None:
    control = UniversalControl(share=0.3)
    workspace = revision.workspace.model_copy(update={"universal_control": control})
    at = datetime(2026, 3, 2, tzinfo=UTC)
    groups = [
        assign(workspace, revision.agent.holdout, Context(f"c{n}", at, {})) for n in range(20_000)
    ]
    sizes = [groups.count(group) for group in Group]
    declared = expected_holdout(workspace, revision.agent)
    assert declared is not None
    assert sample_ratio(sizes, declared) > 1e-3
    assert sample_ratio(sizes, revision.agent.holdout) < 1e-9
