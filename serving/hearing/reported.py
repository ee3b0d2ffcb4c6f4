"""What is reported of a customer, and whether it fits the decision that it followed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from agents.context import Contact
from agents.corrections import Also
from agents.decisions import OutcomeEvent
from agents.errors import ContextError, UnknownNameError, did_you_mean
from agents.revision import Revision
from agents.spec import Agent, Amount, Outcome
from serving.clock import AHEAD
from serving.deciding.recount import events_beside
from serving.ledger import Made


@dataclass(frozen=True, slots=True)
class OutcomeRequest:
    """One event; either `decision_id` or `customer` is empty.

    Args:
        at: when it happened, by what the report says.
    """

    outcome_id: str
    outcome: str
    fingerprint: bytes
    decision_id: str = ""
    customer: str = ""
    properties: Mapping[str, float] = field(default_factory=dict)
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A committed outcome.

    Args:
        event: with the decision that it was credited to, if any.
        counted: names of the agent's outcomes that counted once more because of it.
        replayed: whether it was recorded before.
        pending: whether it waits for its decision.
    """

    event: OutcomeEvent
    counted: tuple[str, ...]
    replayed: bool
    pending: bool = False


def not_before(decision: Made, at: datetime) -> datetime:
    """Return when an event happened, not before its decision: clocks differ a little.

    Raises:
        ContextError: it is earlier by more than clocks differ.
    """
    if decision.at - at > AHEAD:
        raise ContextError(
            f"expected an outcome after its decision at {decision.at.isoformat()},"
            f" got {at.isoformat()}"
        )
    return max(decision.at, at)


def check_amounts(agent: Agent, event: OutcomeEvent) -> None:
    """Refuse an event that lacks the amount by which an outcome is valued.

    Raises:
        ContextError: the property is missing, not finite, or outside the outcome's range.
    """
    for name, outcome in spoken_of(agent, event.outcome):
        amount = outcome.value
        if not isinstance(amount, Amount):
            continue
        got = event.properties.get(amount.property)
        if got is None:
            raise ContextError(
                f"properties: outcome {name!r} of agent {agent.agent!r} expects"
                f" {amount.property!r}, a number from {amount.min:g} to {amount.max:g}; got none"
            )
        if not (math.isfinite(got) and amount.min <= got <= amount.max):
            raise ContextError(
                f"properties.{amount.property}: expected a number from {amount.min:g} to"
                f" {amount.max:g}, got {got:g}"
            )


def spoken_of(agent: Agent, word: str) -> Iterator[tuple[str, Outcome]]:
    """The agent's outcomes that a word reports."""
    return (
        (name, outcome)
        for name, outcome in agent.outcomes.items()
        if (outcome.event or name) == word
    )


def event_of(request: OutcomeRequest, at: datetime, decision: Made | None) -> OutcomeEvent:
    """Make the event of a report, of the decision that it was credited to, if any."""
    return OutcomeEvent(
        request.outcome_id,
        request.decision_id if decision is None else decision.decision_id,
        request.outcome,
        at,
        request.properties,
        request.customer if decision is None else decision.customer,
    )


def used_beside(revision: Revision, beside: Sequence[Revision], contact: Contact) -> Also | None:
    """Return what tells of an event what it uses of counters of others that stand; None of none.

    Args:
        revision: that decided.
        beside: the agent's others that stand now.
        contact: what the event followed.
    """
    if not beside:
        return None
    return lambda event, words, counts: events_beside(
        revision, beside, event, contact, before=words, counted=counts
    )


def require_word(word: str, words: Iterable[str], who: str) -> None:
    """Refuse a word that nobody hears.

    Raises:
        UnknownNameError: it is not among the words; `who` begins the message.
    """
    known = list(words)
    if word not in known:
        raise UnknownNameError(f"{who} {word!r}; {did_you_mean(word, known)}")
