"""A decision is laid out so that it can be read on a narrow terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from agents.decisions import Decision
from agents.groups import Group
from agents.mask import Mask
from agents.revision import Revision
from policies.decide import choose, hold_out
from policies.explaining.explain import explain
from policies.explaining.insight import explain_decision
from policies.hybrid import HybridThompson
from policies.samples import sample_lessons
from policies.uniform import Uniform

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
FEATURES: dict[str, object] = {
    "plan": "plus", "data_used_share": 0.9, "contract_months_left": 3, "open_complaint": False,
    "consent_email": True, "time_zone": "Europe/Berlin",
}  # fmt: skip


def made(
    revision: Revision, group: Group = Group.TREATMENT, customer: str = "ann"
) -> dict[str, Any]:
    context = revision.context(customer, AT, FEATURES)
    mask: Mask = revision.mask(context)
    decision: Decision = choose(
        revision, HybridThompson.create(revision), context,
        hold_out(mask) if group is Group.CONTROL else mask, group,
        decision_id="1", secret=b"s", snapshot="",
    )  # fmt: skip
    return decision.to_record() | {"action_id": decision.action_id}


def lines(
    record: dict[str, Any], width: int = 80, insight: dict[str, Any] | None = None
) -> list[str]:
    console = Console(file=StringIO(), width=width, color_system=None)
    with console.capture() as capture:
        console.print(explain(record, insight))
    return [line.rstrip() for line in capture.get().splitlines()]


@pytest.mark.parametrize("width", [80, 120])
def test_every_allowed_action_has_one_line_the_likeliest_first(
    revision: Revision, width: int
) -> None:
    record = made(revision)
    shown = lines(record, width)
    assert max(map(len, shown)) <= width
    columns = zip(record["actions"], record["distribution"], record["mask"], strict=True)
    allowed = {action: chance for action, chance, reason in columns if reason is None}
    found = [words for words in map(str.split, shown) if words and words[-1] in allowed]
    rows = [words for words in found if len(words) == 3]  # probability, expected reward, action
    assert {action: chance for chance, _, action in rows} == {
        action: f"{chance:.4f}" for action, chance in allowed.items()
    }
    chances = [float(chance) for chance, _, _ in rows]
    assert chances == sorted(chances, reverse=True)


def test_each_reason_stands_once_with_all_that_it_bars(revision: Revision) -> None:
    record = made(revision)
    shown = lines(record, 200)
    reasons = {reason for reason in record["mask"] if reason}
    for reason in reasons:
        assert shown.count(f" {reason}") == 1
    assert "16 barred" in shown
    assert "   bill_explained/tips @email#morning @email#evening @sms" in shown


def test_the_group_says_who_chose(revision: Revision) -> None:
    shown = lines(made(revision, Group.RANDOM))
    assert shown[1].startswith("random group, random_group, revision ")
    assert not any("expected reward" in line for line in shown)  # a uniform choice has none
    shown = lines(made(revision, Group.CONTROL), 200)
    assert shown[0] == "ann: none"
    assert "24 barred" in shown
    assert shown.count(" holdout: the customer is in the control group") == 1


def test_a_customer_is_shown_as_written(revision: Revision) -> None:
    assert lines(made(revision, customer="[/odd] [red]ann"))[0].startswith("[/odd] [red]ann: ")


def told(
    revision: Revision, group: Group = Group.TREATMENT
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a decision of a taught learner and its insight, as records."""
    policy = HybridThompson.create(revision)
    policy.update(sample_lessons(revision, 300, np.random.default_rng(1)))
    context = revision.context("ann", AT, FEATURES | {"consent_sms": True, "roaming_days": 2})
    decision = choose(
        revision, policy, context, revision.mask(context), group,
        decision_id="1", secret=b"s", snapshot="",
    )  # fmt: skip
    insight = explain_decision(revision, policy, decision).to_record()
    return decision.to_record() | {"action_id": decision.action_id}, insight


@pytest.mark.parametrize("group", [Group.TREATMENT, Group.RANDOM])
def test_an_insight_adds_intervals_why_and_what_would_change(
    revision: Revision, group: Group
) -> None:
    record, insight = told(revision, group)
    shown = lines(record, insight=insight)
    assert max(map(len, shown)) <= 80
    assert " ".join(shown[3].split()) == "probability expected reward 5% to 95% allowed action"
    for option in insight["options"]:
        # a narrow terminal may fold the action's id
        row = f"{option['expected']:,.3f} {option['low']:,.3f} to {option['high']:,.3f}"
        assert any(row in " ".join(line.split()) for line in shown), row
    why, change = shown.index("why"), shown.index("would change")
    assert why < change < shown.index(next(line for line in shown if line.endswith(" barred")))
    assert insight["runner_up"] in " ".join(shown[why : why + 3])
    first = insight["changes"][0]
    assert f"if {first['field']} were " in shown[change + 1]


def test_without_values_the_table_is_as_without_an_insight(revision: Revision) -> None:
    context = revision.context("ann", AT, FEATURES)
    decision = choose(
        revision, Uniform.create(revision), context, revision.mask(context), Group.TREATMENT,
        decision_id="1", secret=b"s", snapshot="",
    )  # fmt: skip
    record = decision.to_record() | {"action_id": decision.action_id}
    insight = explain_decision(revision, Uniform.create(revision), decision).to_record()
    assert lines(record, insight=insight) == lines(record)


def test_an_apprentices_decision_is_told_as_the_incumbents(revision: Revision) -> None:
    record = made(revision)
    insight = explain_decision(
        revision, HybridThompson.create(revision), Decision.from_record(record)
    ).to_record()
    assert insight["incumbent"] is None
    told = "\n".join(lines(record, 120, insight | {"incumbent": "priority", "explored": True}))
    assert "decided by the incumbent, priority, not the learner's choice: expected to" in told
    told = "\n".join(lines(record, 120, insight | {"incumbent": "priority", "explored": False}))
    assert "decided by the incumbent, priority, as the learner would have: expected to" in told
    assert "the best:" not in told
