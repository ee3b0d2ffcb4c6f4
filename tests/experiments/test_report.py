"""Reports show every figure with its unit, and withhold what cannot be trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from experiments.evaluate import evaluate
from experiments.lift import Difference, GroupResult, Lift
from experiments.logs import LoggedDecisions
from experiments.report import (
    audit_lines,
    diagnostics_table,
    groups_table,
    lift_table,
    lift_warnings,
    to_text,
    value_table,
)
from experiments.targets import none_target, uniform_target

MakeLog = Callable[..., LoggedDecisions]

LIFT = Lift(
    groups=(
        GroupResult("treatment", 600, 3_000, 7_788.8, 5_406.6, 10_171.1, 80.0),
        GroupResult("control", 200, 1_000, 2_551.0, -519.0, 5_621.0, 6.0),
    ),
    differences=(Difference("treatment", "control", 5_237.8, 1_400.5, 9_075.1, False),),
    moved=0,
    ratio_p=0.4,
    level=0.9,
)


def test_values_in_currency_per_thousand_decisions(make_log: MakeLog) -> None:
    log = make_log(400, 1)
    found = [
        evaluate(log, uniform_target(log), name="uniform"),
        evaluate(log.where(np.arange(400) < 60), none_target(log)[:60], name="none"),
    ]
    text = to_text(value_table(found, "EUR"), diagnostics_table(found))
    assert "Value in EUR per 1,000 decisions" in text
    assert "95% from" in text
    assert f"{found[0].by('dr').value * 1_000:,.0f}" in text
    assert f"{found[0].by('snips').high * 1_000:,.0f}" in text
    assert f"{found[0].diagnostics.ess:,.0f}" in text
    lines = text.splitlines()
    (refused,) = [line for line in lines if line.split()[:3] == ["none", "not", "supported"]]
    assert not any(letter.isdigit() for letter in refused)
    assert not any("not supported" in line for line in lines if "uniform" in line)
    forced = to_text(value_table([replace(found[1], forced=True)], "EUR"))
    assert forced.count("FORCED, not supported") == 2
    assert f"{found[1].by('dr').value * 1_000:,.0f}" in forced
    assert max(map(len, lines)) <= 80


def test_plain_text_has_no_colours(make_log: MakeLog) -> None:
    log = make_log(100, 2)
    assert "\x1b" not in to_text(value_table([evaluate(log, uniform_target(log))], "EUR"))


def test_the_audit_in_short_lines(make_log: MakeLog) -> None:
    log = make_log(100, 3)
    audit = evaluate(log, uniform_target(log)).diagnostics.audit
    verdict, *tests = audit_lines(audit).splitlines()
    assert verdict == "Propensity audit passed"
    assert [line.split()[0] for line in tests] == ["mean", "draws", "rarities"]
    assert max(map(len, tests)) < 80
    for failed in (
        replace(audit, p_mean=1e-9), replace(audit, p_draws=1e-9), replace(audit, p_rare=1e-9)
    ):  # fmt: skip
        assert audit_lines(failed).startswith("Propensity audit FAILED")


def test_a_name_is_shown_as_it_is_written(make_log: MakeLog) -> None:
    log = make_log(2_000, 2)
    found = [evaluate(log, uniform_target(log), name="[/odd] [red]name")]
    text = to_text(value_table(found, "EUR"), diagnostics_table(found))
    assert text.count("[/odd] [red]name") == 3


def test_the_level_is_shown_in_full() -> None:
    assert "99.9% from" in to_text(groups_table(replace(LIFT, level=0.999), "EUR"))


def test_groups_and_lift() -> None:
    text = to_text(groups_table(LIFT, "EUR"), lift_table(LIFT, "EUR"), width=80)
    assert "Reward in EUR per 1,000 customers" in text
    assert "90% from" in text
    assert "7,789" in text
    assert " -519 " in text
    assert "+5,238" in text
    assert text.count("not enough data") == 2
    assert lift_warnings(LIFT) == []


def test_lift_is_withheld_if_the_groups_are_off() -> None:
    off = replace(LIFT, ratio_p=1e-6, moved=3)
    assert "+5,238" not in to_text(lift_table(off, "EUR"))
    first, second = lift_warnings(off)
    assert "withheld" in first
    assert second.startswith("3 customers were seen in two groups")


def test_a_lift_that_leaves_nothing_to_tell_has_no_table() -> None:
    assert LIFT.told
    assert not replace(LIFT, ratio_p=1e-6).told
    assert not replace(LIFT, differences=()).told
