"""What one row of a log says of itself: chances, propensity, group, reason, sending instant."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from agents.checking.history import Finding
from agents.checking.laws import AgentLaw, View

SLACK = 1e-9
HOLDOUT = "holdout"
ALWAYS = "always_act"
Row = Mapping[str, Any]


def unknown_actions(row: Row, law: AgentLaw) -> Iterator[Finding]:
    """Find actions that the agent does not have."""
    unknown = {*row["actions"], row["action"]} - law.actions.keys()
    if unknown:
        yield "action", f"the agent has no action {min(unknown)!r}"
    elif row["actions"][:1] != ["none"]:
        yield "action", "expected 'none' as the first action"


def check_row(row: Row, law: AgentLaw, view: View) -> Iterator[Finding]:
    """Check a row by itself."""
    chances = dict(zip(row["actions"], row["distribution"], strict=True))
    yield from _distribution(row, chances)
    yield from _group(row, chances)
    yield from _none(row, law)
    yield from _reason(row)
    yield from _instant(row, law, view)


def _distribution(row: Row, chances: Mapping[str, float]) -> Iterator[Finding]:
    total, values = math.fsum(row["distribution"]), row["distribution"]
    if not (math.isfinite(total) and min(values) >= 0.0 and max(values) <= 1.0 + SLACK):
        yield "distribution", "expected probabilities, got a number outside [0, 1]"
    if not abs(total - 1.0) <= SLACK:
        yield "distribution", f"expected a sum of 1, got {total!r}"
    for name, reason in zip(row["actions"], row["mask"], strict=True):
        if reason is not None and chances[name] != 0.0:
            yield "distribution", f"{name} is barred ({reason}) but has {chances[name]!r}"
    chance = chances.get(row["action"], 0.0)
    if chance <= 0.0 or abs(row["propensity"] - chance) > SLACK:
        yield "propensity", f"expected {chance!r} as distributed, got {row['propensity']!r}"


def _group(row: Row, chances: Mapping[str, float]) -> Iterator[Finding]:
    if row["group"] == "control":
        if row["action"] != "none" or chances.get("none") != 1.0:
            yield "control", f"expected none with probability 1, got {row['action']}"
    elif row["group"] == "random":
        allowed = [
            chances[n] for n, why in zip(row["actions"], row["mask"], strict=True) if why is None
        ]
        if allowed and max(allowed) - min(allowed) > SLACK:
            yield "random", f"expected equal chances, got {min(allowed)!r} to {max(allowed)!r}"


def _none(row: Row, law: AgentLaw) -> Iterator[Finding]:
    """Check that `none` is barred exactly where the agent always acts and can."""
    first, *others = row["mask"]
    open_ = any(reason is None for reason in others)
    if law.always_act and open_ and row["group"] != "control":
        if first is None:
            yield ALWAYS, "none could be drawn although another action was allowed"
    elif first is not None:
        yield ALWAYS, f"none is barred without cause ({first})"


def _reason(row: Row) -> Iterator[Finding]:
    barred = all(reason is not None for reason in row["mask"][1:])
    if row["group"] == "control":
        expected = "control_group"
    elif len(row["mask"]) > 1 and barred:
        expected = "all_barred"
    else:
        expected = "random_group" if row["group"] == "random" else "policy"
    if row["reason"] != expected:
        yield "reason", f"expected {expected!r}, got {row['reason']!r}"


def _instant(row: Row, law: AgentLaw, view: View) -> Iterator[Finding]:
    """Check that the drawn action is sent at the very first instant at which it may be."""
    action, send_at = law.actions[row["action"]], row["send_at"]
    expected = None if action.id == "none" else view.sends[action.slot]
    if send_at != expected:
        yield "send_at", f"expected {action.id} to be sent at {expected}, got {send_at}"
