"""What is told of running totals: how an agent's decisions were allocated, and what barred them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from serving.reports.report import Slot, SlotTotal, Totals, hour_of, instant_of

Per = Literal["day", "hour"]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Args:
        first, until: from which instant on and before which one, in whole hours (the part of an
            hour is cut off); None for no limit.
    """

    agent: str
    first: datetime | None = None
    until: datetime | None = None

    def slots(self, totals: Totals) -> Iterator[tuple[Slot, SlotTotal]]:
        """Yield what is asked about, by time and revision."""
        low = float("-inf") if self.first is None else hour_of(self.first)
        high = float("inf") if self.until is None else hour_of(self.until)
        asked = (
            slot for slot in totals.slots if slot.agent == self.agent and low <= slot.hour < high
        )
        for slot in sorted(asked, key=lambda each: (each.hour, each.revision)):
            yield slot, totals.slots[slot]

    def frame(self, totals: Totals) -> dict[str, Any]:
        """Return what every answer begins with."""
        return {
            "agent": self.agent,
            "position": totals.position,
            "since": None if totals.since is None else totals.since.isoformat(),
        }


def allocation(totals: Totals, question: Question, per: Per) -> list[dict[str, Any]]:
    """Return, by time and revision and action, how often it was drawn and what came of it.

    Args:
        totals: of the log.
        question: whose and of when.
        per: how long one span of time is (UTC).
    """
    spans: dict[tuple[datetime, str], SlotTotal] = {}
    for slot, total in question.slots(totals):
        at = instant_of(slot.hour)
        begins = at if per == "hour" else at.replace(hour=0)
        spans.setdefault((begins, slot.revision), SlotTotal()).add(total)
    rows = []
    for (begins, revision), total in spans.items():
        whole = sum(action.decisions for action in total.actions.values())
        for name, action in sorted(total.actions.items()):
            rows.append(
                {
                    "from": begins.isoformat(),
                    "revision": revision,
                    "action": name,
                    "decisions": action.decisions,
                    "share": action.decisions / whole,
                    "mean_propensity": action.propensity / action.decisions,
                    "explored_share": action.explored / action.decisions,
                    "outcomes": action.outcomes,
                    "reward": action.reward,
                    "given_back": action.given_back,
                }
            )
    return rows


def funnel(totals: Totals, question: Question) -> dict[str, Any]:
    """Return what each guardrail barred, and how many decisions ended in `none`, and why."""
    whole = SlotTotal()
    for _, total in question.slots(totals):
        whole.add(total)
    return {
        "decisions": sum(action.decisions for action in whole.actions.values()),
        "guardrails": [
            {
                "guardrail": name, "actions": bar.actions,
                "decisions": bar.decisions, "last": bar.last,
            }
            for name, bar in sorted(whole.bars.items(), key=lambda item: -item[1].actions)
        ],
        "none": dict(sorted(whole.nothing.items())),
    }  # fmt: skip
