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

    A window is half-open, [decided_at, decided_at + window): an event at the very instant of the
    decision counts, since clocks have finite resolution; one at the very end comes too late, so
    nothing can be added once the window has ended. An event sent twice under one id counts once.

    Returns:
        The counting events, oldest first.
    """
    kept: list[OutcomeEvent] = []
    seen: set[tuple[str, str]] = set()
    for event in sorted(events, key=lambda event: (event.at, event.outcome_id)):
        outcome = agent.outcomes.get(event.outcome)
        if outcome is None or not decided_at <= event.at < decided_at + outcome.window:
            continue
        once = (event.outcome, event.outcome_id if outcome.count == "each" else "")
        if once not in seen:
            seen.add(once)
            kept.append(event)
    return kept


def reward(
    agent: Agent, action: Action, decided_at: datetime, events: Iterable[OutcomeEvent]
) -> float:
    """Return sum of outcome values inside their windows, less the action's cost, in currency."""
    kept = counted(agent, decided_at, events)
    return sum(agent.outcomes[event.outcome].value for event in kept) - action.cost
