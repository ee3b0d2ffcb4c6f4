"""What the server does inside one transaction: make a decision, record an outcome.

Every function here runs as a job of the writer, reads the ledger's state and writes to it in the
same transaction, so no mask is ever computed from a state that is not the committed one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from agents.decisions import Decision, OutcomeEvent
from agents.errors import ContextError, StateError, UnknownNameError, did_you_mean
from agents.revision import Revision
from agents.rewards import counted
from policies.decide import decide
from serving.active import ActiveAgents
from serving.clock import Clock
from serving.ledger import Ledger
from serving.settings import Keys


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """One question: what is best for this customer now?

    Args:
        fingerprint: digest of the whole request, to tell a retry from another question.
        key: the caller's idempotency key, None if it gave none.
        at: the time that a driver claims, None in production.
    """

    agent: str
    customer: str
    features: dict[str, Any]
    fingerprint: bytes
    key: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OutcomeRequest:
    """One event that followed a decision."""

    outcome_id: str
    decision_id: str
    outcome: str
    fingerprint: bytes
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """A committed decision, the revision that speaks of it, and whether it was made before."""

    decision: Decision
    revision: Revision
    replayed: bool


@dataclass(frozen=True, slots=True)
class Recorded:
    """A committed outcome: whether it counts, and whether it was recorded before."""

    event: OutcomeEvent
    counted: bool
    replayed: bool


@dataclass(frozen=True, slots=True)
class Decider:
    """Makes decisions and records outcomes, with the ledger's transaction as its only state."""

    agents: ActiveAgents
    keys: Keys
    clock: Clock

    def decide(self, ledger: Ledger, request: DecisionRequest) -> Decided:
        """Make one decision, or return the one made before under the same key.

        Raises:
            UnknownNameError: there is no such agent.
            ContextError: the features do not fit, or the key was used for another request.
        """
        if request.key is not None:
            stored = ledger.find_by_key(request.key)
            if stored is not None:
                _require_same(stored.request, request.fingerprint, f"key {request.key!r}")
                return Decided(stored.decision, self._revision(ledger, stored.decision), True)
        active = self.agents.current(ledger, request.agent)
        revision = active.revision
        at = self.clock.now(request.at)
        contacts = ledger.contacts(request.customer, at - revision.lookback)
        context = revision.context(request.customer, at, request.features, contacts)
        decision = decide(
            revision, active.policy, context,
            decision_id=uuid4().hex, secret=self.keys.draw, snapshot=active.snapshot,
        )  # fmt: skip
        _require_lawful(decision)
        contact = decision.contact(revision.actions[decision.action])
        ledger.add_decision(decision, contact, key=request.key, request=request.fingerprint)
        return Decided(decision, revision, False)

    def record(self, ledger: Ledger, request: OutcomeRequest) -> Recorded:
        """Record one outcome, once.

        Raises:
            UnknownNameError: the decision or the outcome is unknown.
            ContextError: the id was used for another outcome, or it precedes its decision.
        """
        known = ledger.find_outcome(request.outcome_id)
        if known is not None:
            _require_same(known.request, request.fingerprint, f"outcome_id {request.outcome_id!r}")
            return Recorded(known.event, known.counted, True)
        stored = ledger.find_decision(request.decision_id)
        if stored is None:
            raise UnknownNameError(
                f"there is no decision {request.decision_id!r};"
                " send the decision_id that POST /v1/decisions answered"
            )
        decision = stored.decision
        agent = self._revision(ledger, decision).agent
        if request.outcome not in agent.outcomes:
            raise UnknownNameError(
                f"agent {agent.agent!r} has no outcome {request.outcome!r};"
                f" {did_you_mean(request.outcome, agent.outcomes)}"
            )
        at = self.clock.now(request.at)
        if at < decision.at:
            raise ContextError(
                f"expected an outcome after its decision at {decision.at.isoformat()},"
                f" got {at.isoformat()}"
            )
        event = OutcomeEvent(request.outcome_id, request.decision_id, request.outcome, at)
        before = ledger.find_events(request.decision_id)
        # Not "is it among those that count": of two that count once, sent out of order, the later
        # sent would then be counted beside the first.
        counts = len(counted(agent, decision.at, [*before, event])) > len(
            counted(agent, decision.at, before)
        )
        ledger.add_outcome(event, counted=counts, request=request.fingerprint)
        return Recorded(event, counts, False)

    def _revision(self, ledger: Ledger, decision: Decision) -> Revision:
        return self.agents.revision(ledger, decision.revision)


def _require_same(stored: bytes, asked: bytes, what: str) -> None:
    if stored != asked:
        raise ContextError(f"{what} was used before for a different request; choose a new one")


def _require_lawful(decision: Decision) -> None:
    """Refuse a draw that the law could not have made, as from a model that answers NaN."""
    barred = decision.mask.reasons[decision.action] is not None
    if barred or not 0.0 < decision.propensity <= 1.0:
        raise StateError(
            f"the policy {decision.policy} answered no distribution; nothing was decided;"
            " activate the agent with another learner, or remove its newest snapshots"
        )
