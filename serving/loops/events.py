"""What comes after a Rank, inside one transaction: its reward, or word that it was shown.

An event that nobody has ranked is answered like any other, as Personalizer did, and counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from agents.revision import Revision
from agents.spec import Amount
from serving.clock import Clock
from serving.deciding.active import ActiveAgents
from serving.hearing.deliverer import Deliverer
from serving.hearing.recorder import Recorder
from serving.hearing.reported import OutcomeRequest
from serving.ledger import Ledger, StoredDecision
from serving.loops.errors import REWARD, LoopError
from serving.loops.finding import find_event

Told = Literal["known", "unknown", "late"]
"""What became of a report; `late` if the event had been given back by then."""


def property_of(revision: Revision) -> tuple[str, Amount]:
    """Return the word by which a loop hears of rewards, and the amount that holds their value."""
    ((name, outcome),) = revision.agent.outcomes.items()
    assert isinstance(outcome.value, Amount), "a loop's reward has a property"
    return outcome.event or name, outcome.value


def check_value(revision: Revision, value: float) -> None:
    """Refuse a reward that the loop's outcome cannot have.

    Raises:
        LoopError: it is not finite, or out of range.
    """
    _, amount = property_of(revision)
    if not (math.isfinite(value) and amount.min <= value <= amount.max):
        raise LoopError(
            f"value: expected a number from {amount.min:g} to {amount.max:g}, got {value:g}",
            REWARD, target="value",
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Events:
    """Takes in what is told of events, with the ledger's transaction as its only state."""

    agents: ActiveAgents
    recorder: Recorder
    deliverer: Deliverer
    clock: Clock

    def reward(
        self, ledger: Ledger, agent: str, event_id: str, value: float, outcome_id: str
    ) -> Told:
        """Record a reward: an outcome of its own each time; which of them count, the agent says.

        Raises:
            LoopError: the value is out of the range that the event was decided with.
        """
        stored = find_event(ledger, agent, event_id)
        return "unknown" if stored is None else self.credit(ledger, stored, value, outcome_id)

    def credit(self, ledger: Ledger, stored: StoredDecision, value: float, outcome_id: str) -> Told:
        """Record a reward of one decision, as `reward`."""
        decision = stored.decision
        revision = self.agents.revision(ledger, decision.revision)
        check_value(revision, value)
        word, amount = property_of(revision)
        self.recorder.record(
            ledger,
            OutcomeRequest(
                outcome_id, word, b"", decision_id=decision.decision_id,
                properties={amount.property: value},
            ),
        )  # fmt: skip
        return "known"

    def activate(self, ledger: Ledger, agent: str, event_id: str) -> Told:
        """Note that the action of an event is shown.

        Raises:
            ConflictError: it must not be shown now, as after an objection.
        """
        stored = find_event(ledger, agent, event_id)
        return "unknown" if stored is None else self.show(ledger, stored)

    def show(self, ledger: Ledger, stored: StoredDecision) -> Told:
        """Note that the action of one decision is shown, as `activate`."""
        decision = stored.decision
        if decision.send_at is None:
            return "known"  # it has nothing to show
        told = ledger.delivery(decision.decision_id)
        if told is not None and told.state != "delivered":
            due = told.due is not None and told.due <= self.clock.now(None)
            if told.given_back or due:
                return "late"
        self.deliverer.report(ledger, decision.decision_id, "delivered", None)
        return "known"
