"""Rewards: what the outcomes of a decision were worth, less what it cost."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from agents.actions import Action
from agents.decisions import OutcomeEvent
from agents.spec import Agent


def closes_at(agent: Agent, decided_at: datetime) -> datetime:
    """Return when the last outcome window of a decision ends (UTC)."""
    return decided_at + max(outcome.window for outcome in agent.outcomes.values())


def counted(
    agent: Agent, decided_at: datetime, events: Iterable[OutcomeEvent]
) -> list[OutcomeEvent]:
    """Keep the events that count: declared, inside their window, and `once` where it says so.

    A window is half-open, (decided_at, decided_at + window]; an event at the very instant of the
    decision counts too, since clocks have finite resolution.

    Returns:
        The counting events, oldest first.
    """
    kept: list[OutcomeEvent] = []
    seen: set[str] = set()
    for event in sorted(events, key=lambda event: (event.at, event.outcome_id)):
        outcome = agent.outcomes.get(event.outcome)
        if outcome is None or not decided_at <= event.at <= decided_at + outcome.window:
            continue
        if outcome.count == "once" and event.outcome in seen:
            continue
        seen.add(event.outcome)
        kept.append(event)
    return kept


def reward(
    agent: Agent, action: Action, decided_at: datetime, events: Iterable[OutcomeEvent]
) -> float:
    """Return sum of outcome values inside their windows, less the action's cost, in currency."""
    kept = counted(agent, decided_at, events)
    return sum(agent.outcomes[event.outcome].value for event in kept) - action.cost
