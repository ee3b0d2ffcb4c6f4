"""What a job is about to ask of the ledger, so that one journey brings the answers of a batch.

Each function calls the reader's methods as the job will. It decides nothing: a wrong guess, as
when another replica has activated another revision meanwhile, costs the job a journey of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

from agents.context import Context, FeatureValue
from agents.revision import Revision
from serving.deciding.active import ActiveAgents
from serving.deciding.decider import Decider, DecisionRequest
from serving.ledger import LedgerReader


def foresee_decision(decider: Decider, request: DecisionRequest, ledger: LedgerReader) -> None:
    """Ask what a decision will ask.

    Args:
        decider: makes it.
        request: the question.
        ledger: notes what it is asked; its answers are empty.
    """
    if request.key is not None:
        ledger.find_by_key(request.key)
    at = decider.clock.now(request.at)
    for name in request.agents:
        ledger.standing(name)
        lineup = decider.agents.by_name.get(name)
        if lineup is not None:
            for active in (lineup.deciding(request.customer), lineup.shadow):
                if active is not None:
                    offered = () if request.supplied is None else request.supplied.actions
                    _foresee_recall(ledger, active.revision.offering(offered), request, at)


def _foresee_recall(
    ledger: LedgerReader, revision: Revision, request: DecisionRequest, at: datetime
) -> None:
    """Ask what `recall` will; the features, not checked yet, only tell the customer's zone."""
    customer = request.customer
    ledger.action_ids(revision.id)
    ledger.past(customer, at - revision.lookback, (), at - revision.event_lookback, at)
    ledger.suppressed(customer, at)
    features = cast("Mapping[str, FeatureValue]", request.features)
    for reading in revision.readings(Context(customer, at, features)):
        ledger.used(reading)


def foresee_outcome(
    agents: ActiveAgents, outcome_id: str, decision_id: str | None, ledger: LedgerReader
) -> None:
    """Ask what the recording of an outcome will ask.

    Args:
        agents: that decide; whose of them is not known yet.
        outcome_id: its id.
        decision_id: of the decision that it followed, None if it names none.
        ledger: notes what it is asked; its answers are empty.
    """
    ledger.find_outcome(outcome_id)
    ledger.told_before(outcome_id)
    for name in list(agents.by_name):
        ledger.standing(name)
    if decision_id is not None:
        ledger.find_made(decision_id)
        ledger.delivery(decision_id)
        ledger.find_events(decision_id)
        ledger.find_corrections(decision_id)
