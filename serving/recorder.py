"""What the server does inside one transaction: record what a customer did.

A report names a decision, or only the customer; then it is credited to the customer's latest
contact whose agent says so (`attribution: last_touch`), or kept as an event of the customer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from agents.decisions import Decision, OutcomeEvent
from agents.errors import ContextError, UnknownNameError, did_you_mean
from agents.memory import newly_counted, past_event, takes
from agents.revision import Revision
from agents.rewards import closes_at
from agents.spec import Agent, Amount, Outcome
from serving.active import ActiveAgents
from serving.clock import Clock
from serving.decider import require_same
from serving.ledger import Ledger


@dataclass(frozen=True, slots=True)
class OutcomeRequest:
    """One event; either `decision_id` or `customer` is empty."""

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
    """

    event: OutcomeEvent
    counted: tuple[str, ...]
    replayed: bool


@dataclass(frozen=True, slots=True)
class Recorder:
    """Records outcomes and events, with the ledger's transaction as its only state."""

    agents: ActiveAgents
    clock: Clock

    def record(self, ledger: Ledger, request: OutcomeRequest) -> Recorded:
        """Record one outcome, once.

        Raises:
            UnknownNameError: the decision or the word is unknown.
            ContextError: the id was used for another outcome, it precedes its decision, or the
                property that holds its amount is missing or out of range.
        """
        known = ledger.find_outcome(request.outcome_id)
        if known is not None:
            require_same(known.request, request.fingerprint, f"outcome_id {request.outcome_id!r}")
            return Recorded(known.event, known.counted, True)
        decision = self._named(ledger, request.decision_id) if request.decision_id else None
        at = self.clock.now(request.at)
        if decision is None:
            decision = self._last_touch(ledger, _event(request, at, None))
        elif at < decision.at:
            raise ContextError(
                f"expected an outcome after its decision at {decision.at.isoformat()},"
                f" got {at.isoformat()}"
            )
        if decision is None:
            return self._keep_loose(ledger, request, at)
        return self._credit(ledger, request, decision, at)

    def _named(self, ledger: Ledger, decision_id: str) -> Decision:
        stored = ledger.find_decision(decision_id)
        if stored is None:
            raise UnknownNameError(
                f"there is no decision {decision_id!r};"
                " send the decision_id that POST /v1/decisions answered"
            )
        return stored.decision

    def _credit(
        self, ledger: Ledger, request: OutcomeRequest, decision: Decision, at: datetime
    ) -> Recorded:
        """Record an event of a decision: what it counts for, and what it uses or gives back."""
        revision = self.agents.revision(ledger, decision.revision)
        _require_word(request.outcome, revision.signals, f"agent {decision.agent!r} does not hear")
        event = _event(request, at, decision)
        check_amounts(revision.agent, event)
        before = ledger.find_events(decision.decision_id)
        news = newly_counted(revision, decision, before, event)
        contact = decision.contact(revision.actions[decision.action])
        if contact is not None:
            words = [earlier.outcome for earlier in before]
            ledger.charge(revision.event_charges(event, contact, before=words, counted=bool(news)))
        ledger.add_outcome(
            event, past_event(event, contact, decision.agent),
            counted=news, request=request.fingerprint,
            closes=closes_at(revision.agent, decision.at),
        )  # fmt: skip
        return Recorded(event, tuple(news), False)

    def _keep_loose(self, ledger: Ledger, request: OutcomeRequest, at: datetime) -> Recorded:
        """Record an event that followed no decision."""
        words = set(self.agents.workspace.events)
        for active in self._active(ledger):
            words |= active.signals.keys()
        _require_word(request.outcome, words, "no agent hears")
        event = _event(request, at, None)
        ledger.add_outcome(
            event, past_event(event, None), counted=(), request=request.fingerprint, closes=at
        )
        return Recorded(event, (), False)

    def _last_touch(self, ledger: Ledger, event: OutcomeEvent) -> Decision | None:
        """Return the decision behind the latest contact to which an event is credited.

        Looks as far back as the agents that are active now have windows for this word.
        """
        windows = [
            outcome.window
            for active in self._active(ledger)
            for _, outcome in _spoken_of(active.agent, event.outcome)
            if outcome.attribution == "last_touch"
        ]
        if not windows:
            return None
        for contact in reversed(ledger.contacts(event.customer, event.at - max(windows))):
            stored = ledger.find_decision(contact.decision_id) if contact.at <= event.at else None
            if stored is None:
                continue
            decision = stored.decision
            if takes(self.agents.revision(ledger, decision.revision), decision.at, event):
                return decision
        return None

    def _active(self, ledger: Ledger) -> Iterator[Revision]:
        return (self.agents.current(ledger, name).revision for name in ledger.active())


def check_amounts(agent: Agent, event: OutcomeEvent) -> None:
    """Refuse an event that lacks the amount by which an outcome is valued.

    Raises:
        ContextError: the property is missing, not finite, or outside the outcome's range.
    """
    for name, outcome in _spoken_of(agent, event.outcome):
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


def _spoken_of(agent: Agent, word: str) -> Iterator[tuple[str, Outcome]]:
    """The agent's outcomes that a word reports."""
    return (
        (name, outcome)
        for name, outcome in agent.outcomes.items()
        if (outcome.event or name) == word
    )


def _event(request: OutcomeRequest, at: datetime, decision: Decision | None) -> OutcomeEvent:
    return OutcomeEvent(
        request.outcome_id,
        "" if decision is None else decision.decision_id,
        request.outcome,
        at,
        request.properties,
        request.customer if decision is None else decision.context.customer,
    )


def _require_word(word: str, words: Iterable[str], who: str) -> None:
    known = list(words)
    if word not in known:
        raise UnknownNameError(f"{who} {word!r}; {did_you_mean(word, known)}")
