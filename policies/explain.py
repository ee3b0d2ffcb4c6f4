"""One decision for people: what was drawn, what else could be, and why the rest could not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

Record = Mapping[str, Any]


def explain(record: Record) -> RenderableType:
    """Lay out a decision for a terminal, in 80 columns if names are of usual length.

    The allowed actions stand in a table, likeliest first, the drawn one in bold. Each reason for
    which others are barred stands once, with the actions that it bars.

    Args:
        record: as `Decision.to_record` makes it, with the drawn action's id as `action_id`.
    """
    title = Text.assemble(
        f"{record['customer']}: ", (record["action_id"], "bold"),
        f"\n{record['group']} group, {record['reason']}, revision {record['revision']}",
    )  # fmt: skip
    barred = _by_reason(record["actions"], record["mask"])
    parts: list[RenderableType] = [title, _allowed(record)]
    if barred:
        count = sum(len(actions) for actions in barred.values())
        parts.append(Text(f"{count} barred", style="bold"))
    for reason, actions in barred.items():
        parts.append(Padding(Text(reason), (0, 0, 0, 1)))
        parts.append(Padding(Text("\n".join(_folded(actions)), style="dim"), (0, 0, 0, 3)))
    return Group(*parts)


def _allowed(record: Record) -> Table:
    """Table of the allowed actions; expected rewards in currency, if the policy has any."""
    names = ("actions", "distribution", "expected", "mask")
    rows = [row for row in zip(*(record[name] for name in names), strict=True) if row[3] is None]
    rows.sort(key=lambda row: -row[1])
    valued = any(expected is not None for _, _, expected, _ in rows)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("probability", justify="right")
    if valued:
        table.add_column("expected reward", justify="right")
    table.add_column("allowed action", overflow="fold")
    for action, probability, expected, _ in rows:
        worth = [f"{expected:,.3f}" if expected is not None else ""] if valued else []
        style = "bold" if action == record["action_id"] else None
        table.add_row(f"{probability:.4f}", *worth, Text(action), style=style)
    return table


def _by_reason(actions: Sequence[str], mask: Sequence[str | None]) -> dict[str, list[str]]:
    """Gather barred actions by their reason, in the order of the actions."""
    barred: dict[str, list[str]] = defaultdict(list)
    for action, reason in zip(actions, mask, strict=True):
        if reason is not None:
            barred[reason].append(action)
    return barred


def _folded(actions: Sequence[str]) -> list[str]:
    """Write the ways of sending the same offer and variant on one line.

    Example:
        >>> _folded(["plan/a@email#morning", "plan/a@sms", "plan/b@sms", "none"])
        ['plan/a @email#morning @sms', 'plan/b @sms', 'none']
    """
    ways: dict[str, list[str]] = defaultdict(list)
    for action in actions:
        creative, at, sending = action.partition("@")
        ways[creative] += [at + sending] if at else []
    return [" ".join((creative, *sendings)) for creative, sendings in ways.items()]
