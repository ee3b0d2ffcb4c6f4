"""What the server does inside one transaction: take an outcome back, or restate its amount."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from agents.corrections import Correction, corrected, difference, event_charges
from agents.decisions import Decision, OutcomeEvent
from agents.errors import ConflictError, ContextError, UnknownNameError
from agents.rewards import closes_at, counted, gained
from serving.clock import Clock
from serving.deciding.active import ActiveAgents
from serving.deciding.decider import require_same
from serving.hearing.reported import check_amounts, used_beside
from serving.ledger import Ledger, StoredOutcome


@dataclass(frozen=True, slots=True)
class CorrectionRequest:
    """What is said of an outcome that was recorded before.

    Args:
        outcome_id: the correction's own id.
        adjusts: id of the outcome.
        properties: the numbers that came with it, all of them; None if it never happened.
        at: when it is said, by what the report says.
    """

    outcome_id: str
    adjusts: str
    fingerprint: bytes
    properties: Mapping[str, float] | None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Corrected:
    """A committed correction.

    Args:
        lost: names of the agent's outcomes that count once less because of it.
        replayed: whether it was recorded before.
    """

    correction: Correction
    event: OutcomeEvent
    lost: tuple[str, ...]
    replayed: bool


@dataclass(frozen=True, slots=True)
class Corrector:
    """Records corrections, with the ledger's transaction as its only state."""

    agents: ActiveAgents
    clock: Clock

    def correct(self, ledger: Ledger, request: CorrectionRequest) -> Corrected:
        """Record one correction, once.

        Raises:
            UnknownNameError: there is no such outcome.
            ContextError: the id was used for something else, or the amount does not fit.
            ConflictError: the outcome was taken back before, which is final, or its decision is
                still waited for.
        """
        known = ledger.find_correction(request.outcome_id)
        if known is not None:
            require_same(known.request, request.fingerprint, f"outcome_id {request.outcome_id!r}")
            return Corrected(known.correction, known.event, known.lost, True)
        stored = self._adjusted(ledger, request)
        at = self.clock.happened(request.at)
        correction = Correction(request.outcome_id, request.adjusts, at, request.properties)
        found = ledger.find_decision(stored.event.decision_id)
        if found is None:
            lost, remaining, closes = Counter[str](), dict[str, int](), at
        else:
            decision = found.decision
            lost, remaining = self._undo(ledger, decision, stored.event, correction)
            closes = closes_at(self.agents.revision(ledger, decision.revision).agent, decision.at)
        ledger.add_correction(
            correction, stored.event,
            lost=lost.elements(), remaining=remaining, request=request.fingerprint, closes=closes,
        )  # fmt: skip
        return Corrected(correction, stored.event, tuple(lost.elements()), False)

    def _adjusted(self, ledger: Ledger, request: CorrectionRequest) -> StoredOutcome:
        """Return the outcome that is to be adjusted, if it still can be."""
        own, adjusts = request.outcome_id, request.adjusts
        if ledger.find_outcome(own) is not None or ledger.find_pending(own) is not None:
            raise ContextError(
                f"outcome_id {own!r} was used before for an outcome; a correction has its own id"
            )
        stored = ledger.find_outcome(adjusts)
        if stored is None and ledger.find_pending(adjusts) is not None:
            raise ConflictError(
                f"the decision of outcome {adjusts!r} is not there yet; correct it once it is"
            )
        if stored is None:
            raise UnknownNameError(
                f"there is no outcome {adjusts!r} to adjust; send the outcome_id that was recorded"
            )
        if any(each.correction.retracts for each in ledger.corrections_of(adjusts)):
            raise ConflictError(f"outcome {adjusts!r} was taken back before, and that is final")
        return stored

    def _undo(
        self, ledger: Ledger, decision: Decision, event: OutcomeEvent, correction: Correction
    ) -> tuple[Counter[str], dict[str, int]]:
        """Give back what an outcome had used; return what counts no more, and what still does."""
        revision = self.agents.deciding(ledger, decision)
        if correction.properties is not None:
            check_amounts(revision.agent, replace(event, properties=correction.properties))
        told = ledger.delivery(decision.decision_id)
        if told is not None and told.given_back:
            return Counter(), {}
        before = ledger.standing_events(decision.decision_id)
        after = corrected(before, [correction])
        contact = decision.contact(revision.actions[decision.action])
        if contact is not None:
            also = used_beside(
                revision, self.agents.beside(ledger, decision.agent, revision.id), contact
            )
            sums = (
                event_charges(revision, decision.at, contact, each, also)
                for each in (before, after)
            )
            ledger.charge(difference(*sums))
        lost = Counter(gained(revision.agent, decision.at, after, before))
        still = Counter(entry.outcome for entry in counted(revision.agent, decision.at, after))
        return lost, {name: still[name] for name in lost}
