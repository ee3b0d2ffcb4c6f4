"""One decision for people: what was drawn, what else could be, and why the rest could not.

With the record of an insight (`policies.explaining.insight`) also what speaks for the drawn action,
and what would have to be different for another to be the best.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from policies.explaining.wording import lay_out

Record = Mapping[str, Any]


def explain(record: Record, insight: Record | None = None) -> RenderableType:
    """Lay out a decision for a terminal, in 80 columns if names are of usual length.

    The allowed actions stand in a table, likeliest first, the drawn one in bold. Each reason for
    which others are barred stands once, with the actions that it bars.

    Args:
        record: as `Decision.to_record` makes it, with the drawn action's id as `action_id`.
        insight: as `Insight.to_record` makes it, of the same decision; None if there is none.
    """
    title = Text.assemble(
        f"{record['customer']}: ", (record["action_id"], "bold"),
        f"\n{record['group']} group, {record['reason']}, revision {record['revision']}",
    )  # fmt: skip
    barred = _by_reason(record["actions"], record["mask"])
    parts: list[RenderableType] = [title, _allowed(record, insight)]
    if insight is not None:
        parts += lay_out(insight)
    if barred:
        count = sum(len(actions) for actions in barred.values())
        parts.append(Text(f"{count} barred", style="bold"))
    for reason, actions in barred.items():
        parts.append(Padding(Text(reason), (0, 0, 0, 1)))
        parts.append(Padding(Text("\n".join(_folded(actions)), style="dim"), (0, 0, 0, 3)))
    return Group(*parts)


def _allowed(record: Record, insight: Record | None) -> Table:
    """Table of the allowed actions; expected rewards in currency, if the policy has any."""
    options = _options(record) if insight is None else insight["options"]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    cells: list[Callable[[Record], str]] = [lambda option: f"{option['probability']:.4f}"]
    table.add_column("probability", justify="right")
    if any(option["expected"] is not None for option in options):
        table.add_column("expected reward", justify="right")
        cells.append(lambda option: _money(option["expected"]))
    if any(option["low"] is not None for option in options):
        table.add_column("5% to 95%", justify="right")
        cells.append(lambda option: f"{_money(option['low'])} to {_money(option['high'])}")
    table.add_column("allowed action", overflow="fold")
    for option in options:
        style = "bold" if option["action"] == record["action_id"] else None
        row = [cell(option) for cell in cells]
        table.add_row(*row, Text(option["action"]), style=style)
    return table


def _options(record: Record) -> list[Record]:
    """Return the allowed actions of a decision as an insight has them, the likeliest first."""
    columns = (record[name] for name in ("actions", "distribution", "expected", "mask"))
    options = [
        {"action": action, "probability": probability, "expected": expected, "low": None}
        for action, probability, expected, reason in zip(*columns, strict=True)
        if reason is None
    ]
    return sorted(options, key=lambda option: -option["probability"])


def _money(amount: float | None) -> str:
    return "" if amount is None else f"{amount:,.3f}"


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
