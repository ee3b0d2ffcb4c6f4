"""Rewards: what the outcomes of a decision were worth, less what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from agents.actions import Action
from agents.decisions import OutcomeEvent
from agents.spec import Agent, Amount, Outcome


def closes_at(agent: Agent, decided_at: datetime) -> datetime:
    """Return when the last outcome window of a decision ends (UTC)."""
    return decided_at + max(outcome.window for outcome in agent.outcomes.values())


class Counted(NamedTuple):
    """An event that counts towards a reward: for which outcome, and its value in currency.

    One event may count for several outcomes. `value` has the outcome's weight in it.
    """

    outcome: str
    event: OutcomeEvent
    value: float


def counted(agent: Agent, decided_at: datetime, events: Iterable[OutcomeEvent]) -> list[Counted]:
    """Keep the events that count: declared, inside their window, and `once` where it says so.

    A window is half-open, [decided_at, decided_at + window): an event at the very instant of the
    decision counts, since clocks have finite resolution; one at the very end comes too late, so
    nothing can be added once the window has ended. An event sent twice under one id counts once.
    Of an outcome counted `each`, `aggregate` keeps all events, the first, or the most valuable.

    Returns:
        What counts, by outcome in the order of the agent, oldest event first.
    """
    ordered = sorted(events, key=lambda event: (event.at, event.outcome_id))
    if not ordered:
        return []
    kept: list[Counted] = []
    words = {event.outcome for event in ordered}
    for name, outcome in agent.outcomes.items():
        word = outcome.event or name
        if word not in words:
            continue
        inside = [
            Counted(name, event, outcome.weight * value_of(outcome, event))
            for event in ordered
            if event.outcome == word and decided_at <= event.at < decided_at + outcome.window
        ]
        kept += _aggregate(outcome, inside)
    return kept


def newly_counted(
    agent: Agent, decided_at: datetime, before: Sequence[OutcomeEvent], event: OutcomeEvent
) -> list[str]:
    """Name the outcomes that count once more because of an event.

    Not "is it among those that count": of two that count once, heard out of order, the later
    heard would then be counted beside the first. Only outcomes of its own word can be among them.
    """
    same = [earlier for earlier in before if earlier.outcome == event.outcome]
    return gained(agent, decided_at, same, [*same, event])


def gained(
    agent: Agent,
    decided_at: datetime,
    before: Iterable[OutcomeEvent],
    after: Iterable[OutcomeEvent],
) -> list[str]:
    """Name the outcomes that count more often with some events than with others, sorted.

    The other way round it names those that are lost when events are taken back.
    """
    earlier = [entry.outcome for entry in counted(agent, decided_at, before)]
    now = [entry.outcome for entry in counted(agent, decided_at, after)]
    return sorted((Counter(now) - Counter(earlier)).elements() if earlier else now)


def value_of(outcome: Outcome, event: OutcomeEvent) -> float:
    """Return what one event is worth, before the outcome's weight, in currency.

    Raises:
        KeyError: the event lacks the property that holds the amount (refused on receipt).
    """
    if isinstance(outcome.value, Amount):
        return event.properties[outcome.value.property]
    return outcome.value


def _aggregate(outcome: Outcome, events: list[Counted]) -> list[Counted]:
    different = list({entry.event.outcome_id: entry for entry in reversed(events)}.values())[::-1]
    if outcome.count == "once" or outcome.aggregate == "first":
        return different[:1]
    if outcome.aggregate == "max":
        return sorted(different, key=lambda entry: entry.value)[-1:]
    return different


def reward(
    agent: Agent,
    action: Action,
    decided_at: datetime,
    events: Iterable[OutcomeEvent],
    *,
    closed: bool = False,
) -> float:
    """Return sum of outcome values inside their windows, less the action's cost, in currency.

    Args:
        agent: whose outcomes and windows.
        action: what was drawn.
        decided_at: the instant of the decision (UTC).
        events: what followed it, as corrected.
        closed: whether the windows have ended: then what has not happened has its `default`.
    """
    entries = counted(agent, decided_at, events)
    total = sum(entry.value for entry in entries) - action.cost
    if not closed:
        return total
    happened = {entry.outcome for entry in entries}
    return total + sum(
        outcome.weight * outcome.default
        for name, outcome in agent.outcomes.items()
        if name not in happened
    )
