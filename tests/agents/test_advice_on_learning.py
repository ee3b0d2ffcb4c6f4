"""Warnings of `nextbest check` about what a learner begins with and learns for."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.advising.advice import advise
from agents.catalog import write_example
from agents.load import load_workspace

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def warnings(folder: Path) -> list[str]:
    return [str(advice) for advice in advise(load_workspace(folder), NOW)]


@pytest.mark.parametrize(("learner", "count"), [("hybrid_thompson", 0), ("linear_thompson", 1)])
def test_a_warm_start_from_another_kind_is_pointed_out(
    tmp_path: Path, learner: str, count: int
) -> None:
    write_example("telecom", tmp_path / "shop")
    first = tmp_path / "shop" / "agents" / "retention.yaml"
    text = first.read_text(encoding="utf-8").replace("agent: retention", "agent: winback")
    policy = f"learner: {learner}\n  warm_start: {{agent: retention, share: 0.3}}"
    text = text.replace("learner: hybrid_thompson", policy)
    first.with_name("winback.yaml").write_text(text, encoding="utf-8")
    found = [line for line in warnings(tmp_path / "shop") if "untaught" in line]
    assert len(found) == count
    words = "the learner of retention is hybrid_thompson, so linear_thompson begins untaught"
    assert all(words in line and "winback.yaml" in line for line in found)


def test_outcomes_that_are_worth_nothing_are_pointed_out(tmp_path: Path) -> None:
    write_example("telecom", tmp_path / "shop")
    path = tmp_path / "shop" / "agents" / "retention.yaml"
    text = path.read_text(encoding="utf-8")
    words = "no outcome is worth anything, so there is nothing to learn for"
    for old in ("value: 80", "value: 30", "value: -20", "value: -15"):
        assert not any(words in line for line in warnings(tmp_path / "shop"))
        text = text.replace(old, "value: 0")
        path.write_text(text, encoding="utf-8")
    assert any(words in line for line in warnings(tmp_path / "shop"))
