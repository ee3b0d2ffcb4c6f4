"""An insight in words: why the drawn action, and what would change the choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.padding import Padding
from rich.text import Text

Record = Mapping[str, Any]

_MOST = 6  # contributions that are told one by one
_WORDS = {
    ("moment", "contacts"): "earlier contacts",
    ("moment", "hour"): "the hour of the day",
    ("moment", "weekday"): "the day of the week",
    ("action", "none"): "what customers do when left alone",
    ("action", "word"): "its words",
    ("action", "action"): "this very action, beyond the rest",
    ("cost", "cost"): "what it costs",
}


def lay_out(insight: Record) -> list[Text | Padding]:
    """Say why the drawn action, and what would change the choice, a paragraph each.

    Args:
        insight: as `Insight.to_record` makes it.
    """
    parts: list[Text | Padding] = []
    lead = _lead(insight)
    if lead:
        parts += [Text("why", style="bold"), Padding(Text(lead), (0, 0, 0, 1))]
    if insight["contributions"]:
        parts.append(Padding(Text("\n".join(_added(insight["contributions"]))), (0, 0, 0, 3)))
    if insight["best"] is not None:
        parts += [Text("would change", style="bold"), Padding(Text(_change(insight)), (0, 0, 0, 1))]
    return parts


def _lead(insight: Record) -> str:
    """Compare the drawn action with the runner-up, or return nothing if there is none."""
    if insight["runner_up"] is None:
        return ""
    how = f"{_how(insight)}: expected to earn"
    gap = f"{abs(insight['gap']):,.3f}"
    if gap == "0.000":
        return f"{how} as much as {insight['runner_up']}"
    than = "less" if insight["gap"] < 0.0 else "more"
    return f"{how} {gap} {than} than {insight['runner_up']}"


def _how(insight: Record) -> str:
    """Say how it came to be drawn; in apprentice mode the incumbent drew it, by its own lights."""
    if insight["incumbent"] is not None:
        same = "not the learner's choice" if insight["explored"] else "as the learner would have"
        return f"decided by the incumbent, {insight['incumbent']}, {same}"
    return "explored" if insight["explored"] else "the best"


def _added(contributions: Sequence[Record]) -> list[str]:
    """One line for each of the weightiest contributions, and one for all others."""
    told, rest = contributions[:_MOST], contributions[_MOST:]
    lines = [f"{entry['worth']:+,.3f}  {_source(entry)}" for entry in told]
    if rest:
        total = sum(entry["worth"] for entry in rest)
        lines.append(f"{total:+,.3f}  {len(rest)} more")
    return lines


def _source(entry: Record) -> str:
    if entry["kind"] == "customer":
        return f"{entry['source']} {shown(entry['value'])}"
    return _WORDS.get((entry["kind"], entry["source"]), f"its {entry['source']}")


def _change(insight: Record) -> str:
    if not insight["changes"]:
        return "no change of one field makes another action the best"
    change = insight["changes"][0]
    before, after = shown(change["before"]), shown(change["after"], 12)
    return (
        f"if {change['field']} were {after} instead of {before}, the best would be"
        f" {change['action']}"
    )


def shown(value: Any, digits: int = 6) -> str:
    """Write a customer's value for people.

    Args:
        value: as a record has it.
        digits: of a number that is not whole.

    Example:
        >>> shown(True), shown(None), shown([]), shown(["music", "sport"]), shown(2.50)
        ('true', 'unknown', 'nothing', 'music, sport', '2.5')
    """
    match value:
        case None:
            return "unknown"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:,.{digits}g}"
        case list():
            return ", ".join(value) or "nothing"
        case _:
            return str(value)
