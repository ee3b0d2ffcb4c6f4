"""What the ledger knows of a customer, as a decision needs it, and what a decision adds to it.

Item by item the same as `agents.memory.Memory` in the same case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from agents.context import Context
from agents.decisions import Decision
from agents.revision import Revision
from agents.rewards import closes_at
from serving.ledger import Ledger, LedgerReader


def recall(
    ledger: LedgerReader,
    revision: Revision,
    customer: str,
    at: datetime,
    features: Mapping[str, object],
    *,
    placement: str = "",
) -> Context:
    """Make the context of a decision now, all of it from one transaction of the ledger.

    Raises:
        ContextError: the features do not fit the customer schema.
    """
    bare = revision.context(customer, at, features, placement=placement)
    return replace(
        bare,
        contacts=ledger.contacts(customer, bare.at - revision.lookback),
        events=ledger.events(customer, revision.hears, bare.at - revision.event_lookback, bare.at),
        usage={reading.key: ledger.used(reading) for reading in revision.readings(bare)},
    )


def keep(
    ledger: Ledger,
    decision: Decision,
    revision: Revision,
    *,
    key: str | None = None,
    request: bytes = b"",
    arbitration: Mapping[str, Any] | None = None,
) -> None:
    """Write a decision, its contact and what it uses of the organisation's budgets.

    Args:
        ledger: inside the transaction in which the context was recalled.
        decision: what was decided.
        revision: what it was decided by.
        key: the caller's idempotency key.
        request: the fingerprint of the request.
        arbitration: how it was settled which agent decides, if several were asked.
    """
    contact = decision.contact(revision.actions[decision.action])
    ledger.add_decision(
        decision, contact,
        key=key, request=request, arbitration=arbitration,
        closes=closes_at(revision.agent, decision.at),
    )  # fmt: skip
    if contact is not None:
        ledger.charge(revision.charges(decision.action, contact.at))
