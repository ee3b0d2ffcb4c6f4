"""A decision is laid out so that it can be read on a narrow terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from agents.decisions import Decision
from agents.groups import Group
from agents.mask import Mask
from agents.revision import Revision
from policies.decide import choose, hold_out
from policies.explain import explain
from policies.hybrid import HybridThompson

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


def lines(record: dict[str, Any], width: int = 80) -> list[str]:
    console = Console(file=StringIO(), width=width, color_system=None)
    with console.capture() as capture:
        console.print(explain(record))
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
