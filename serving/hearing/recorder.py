"""What the server does inside one transaction: record what a customer did.

A report names a decision, or only the customer; then it is credited to the customer's latest
contact whose agent says so (`attribution: last_touch`), or kept as an event of the customer. A
decision that is not there yet is waited for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from agents.decisions import OutcomeEvent
from agents.errors import ContextError, NextbestError, StateError
from agents.memory import past_event, takes
from agents.rewards import closes_at, newly_counted
from serving.clock import Clock
from serving.deciding.active import ActiveAgents
from serving.deciding.decider import require_same
from serving.deciding.recount import events_beside
from serving.hearing.reported import (
    OutcomeRequest,
    Recorded,
    check_amounts,
    event_of,
    not_before,
    require_word,
    spoken_of,
)
from serving.ledger import Ledger, Made

WAITS = timedelta(days=7)
"""How long an outcome waits for its decision."""

KEPT = timedelta(days=30)
"""How long an outcome that has waited in vain is kept for people to look at."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """Records outcomes and events, with the ledger's transaction as its only state."""

    agents: ActiveAgents
    clock: Clock

    def record(self, ledger: Ledger, request: OutcomeRequest) -> Recorded:
        """Record one outcome, once.

        Raises:
            UnknownNameError: the word is unknown.
            ContextError: the id was used for another outcome, it precedes its decision or is still
                to come, or the property that holds its amount is missing or out of range.
        """
        known = ledger.find_outcome(request.outcome_id)
        if known is not None:
            require_same(known.request, request.fingerprint, f"outcome_id {request.outcome_id!r}")
            return Recorded(known.event, known.counted, True)
        at = self.clock.happened(request.at)
        waits = self._waiting(ledger, request)
        if not request.decision_id:
            decision = self._last_touch(ledger, event_of(request, at, None))
            if decision is None:
                return self._keep_loose(ledger, request, at)
            return self._credit(ledger, request, decision, at)
        decision = ledger.find_made(request.decision_id)
        if decision is None:
            if not waits:
                self._wait(ledger, request, at)
            return Recorded(event_of(request, at, None), (), waits, pending=True)
        recorded = self._credit(ledger, request, decision, at)
        if waits:
            ledger.drop_pending(request.outcome_id)
        return recorded

    def join(self, ledger: Ledger, limit: int) -> int:
        """Record up to `limit` outcomes whose decision has appeared; return how many were there.

        One that does not fit its decision waits no longer, as a dead letter that says why.
        """
        waiting = ledger.joinable(limit)
        for each in waiting:
            at = datetime.fromisoformat(each.body["at"])
            request = OutcomeRequest(
                each.outcome_id, each.body["outcome"], each.request, each.body["decision_id"],
                properties=each.body["properties"],
            )  # fmt: skip
            decision = ledger.find_made(request.decision_id)
            if decision is None:
                continue  # gone again since it was listed
            try:
                with ledger.savepoint():
                    self._credit(ledger, request, decision, at)
                    ledger.drop_pending(request.outcome_id)
            except StateError:
                raise
            except NextbestError as error:
                ledger.bury(request.outcome_id, str(error), each.until + KEPT)
        return len(waiting)

    def _waiting(self, ledger: Ledger, request: OutcomeRequest) -> bool:
        """Say whether this very outcome waits for its decision already.

        Raises:
            ContextError: its id was used for a correction, or for another outcome that waits.
        """
        what = f"outcome_id {request.outcome_id!r}"
        match ledger.told_before(request.outcome_id):
            case None:
                return False
            case fingerprint, "pending":
                require_same(fingerprint, request.fingerprint, what)
                return True
            case fingerprint, "dead":
                require_same(fingerprint, request.fingerprint, what)
                ledger.drop_pending(request.outcome_id)
                return False
            case _:
                raise ContextError(f"{what} was used before for a correction; choose a new one")

    def _wait(self, ledger: Ledger, request: OutcomeRequest, at: datetime) -> None:
        body: dict[str, Any] = {
            "outcome": request.outcome, "decision_id": request.decision_id,
            "properties": dict(request.properties), "at": at.isoformat(),
        }  # fmt: skip
        now = max(at, self.clock.reached(ledger.last_instant()) or at)
        ledger.keep_pending(
            request.outcome_id, request.decision_id, request.fingerprint, body, now + WAITS
        )

    def _credit(
        self, ledger: Ledger, request: OutcomeRequest, decision: Made, at: datetime
    ) -> Recorded:
        """Record an event of a decision: what it counts for, and what it uses or gives back."""
        revision = self.agents.deciding(ledger, decision)
        require_word(request.outcome, revision.signals, f"agent {decision.agent!r} does not hear")
        event = event_of(request, not_before(decision, at), decision)
        check_amounts(revision.agent, event)
        told = None if decision.send_at is None else ledger.delivery(decision.decision_id)
        news: list[str] = []
        contact = None
        if told is None or not told.given_back:
            before = ledger.standing_events(decision.decision_id)
            news = newly_counted(revision.agent, decision.at, before, event)
            contact = decision.contact(revision.actions[decision.action])
            beside = self.agents.beside(ledger, decision.agent, revision.id)
            if contact is not None and (revision.counters or beside):
                words, counted = [earlier.outcome for earlier in before], bool(news)
                ledger.charge(revision.event_charges(event, contact, before=words, counted=counted))
                if beside:
                    others = events_beside(
                        revision, beside, event, contact, before=words, counted=counted
                    )
                    ledger.charge(others)
        ledger.add_outcome(
            event, past_event(event, contact, decision.agent),
            counted=news, request=request.fingerprint,
            closes=closes_at(revision.agent, decision.at),
        )  # fmt: skip
        return Recorded(event, tuple(news), False)

    def _keep_loose(self, ledger: Ledger, request: OutcomeRequest, at: datetime) -> Recorded:
        """Record an event that followed no decision."""
        words = set(self.agents.workspace.events)
        for revision in self.agents.standing(ledger):
            words |= revision.signals.keys()
        require_word(request.outcome, words, "no agent hears")
        event = event_of(request, at, None)
        ledger.add_outcome(
            event, past_event(event, None), counted=(), request=request.fingerprint, closes=at
        )
        return Recorded(event, (), False)

    def _last_touch(self, ledger: Ledger, event: OutcomeEvent) -> Made | None:
        """Return the decision behind the latest contact to which an event is credited.

        Looks as far back as the agents that are active now have windows for this word.
        """
        windows = [
            outcome.window
            for revision in self.agents.standing(ledger)
            for _, outcome in spoken_of(revision.agent, event.outcome)
            if outcome.attribution == "last_touch"
        ]
        if not windows:
            return None
        for contact in reversed(ledger.contacts(event.customer, event.at - max(windows))):
            decision = ledger.find_made(contact.decision_id) if contact.at <= event.at else None
            if decision is None:
                continue
            if takes(self.agents.revision(ledger, decision.revision), decision.at, event):
                return decision
        return None
