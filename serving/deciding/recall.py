"""What the ledger knows of a customer, as a decision needs it, and what a decision adds to it.

Item by item the same as `agents.memory.Memory` in the same case.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from agents.context import Context, check_channels, check_customer, check_placement
from agents.decisions import Decision
from agents.revision import Revision
from agents.supplied import Supplied
from agents.units import require_utc
from serving.deciding.recount import charges_beside
from serving.ledger import Ledger, LedgerReader


def recall(
    ledger: LedgerReader,
    revision: Revision,
    customer: str,
    at: datetime,
    features: Mapping[str, object],
    *,
    placement: str = "",
    channels: Collection[str] = (),
    supplied: Supplied | None = None,
) -> Context:
    """Make the context of a decision now, all of it from one transaction of the ledger.

    Raises:
        ContextError: the features do not fit the customer schema, or there is no such
            channel or placement.
    """
    checked, at, usage = revision.features.check(features), require_utc(at), dict[str, float]()
    contacts, events = ledger.past(
        customer, at - revision.lookback, revision.hears, at - revision.event_lookback, at
    )
    context = Context(
        check_customer(customer),
        at,
        checked,
        contacts,
        events,
        usage,
        check_placement(revision.workspace.channels, placement),
        check_channels(revision.workspace.channels, channels),
        ledger.suppressed(customer, at),
        supplied,
    )
    if revision.counters:
        usage.update((reading.key, ledger.used(reading)) for reading in revision.readings(context))
    return context


def keep(
    ledger: Ledger,
    decision: Decision,
    revision: Revision,
    *,
    key: str | None = None,
    request: bytes = b"",
    arbitration: Mapping[str, Any] | None = None,
    shadow: Mapping[str, Any] | None = None,
    beside: Sequence[Revision] = (),
    defer: bool = False,
) -> None:
    """Write a decision, its contact and what it uses of the organisation's budgets.

    Args:
        ledger: inside the transaction in which the context was recalled.
        decision: what was decided.
        revision: what it was decided by.
        key: the caller's idempotency key.
        request: the fingerprint of the request.
        arbitration: how it was settled which agent decides, if several were asked.
        shadow: what the agent's shadow would have decided, if it has one.
        beside: all revisions of the agent that stand, to whose budgets it counts, too.
        defer: whether the contact is only reserved, until the window of its outcomes ends.
    """
    contact = decision.contact(revision.actions[decision.action])
    confirm = revision.agent.confirm
    deferred = contact is not None and (defer or confirm is not None)
    position = ledger.add_decision(
        decision, contact,
        key=key, request=request, arbitration=arbitration, shadow=shadow,
        closes=decision.at + revision.window, deferred=deferred,
    )  # fmt: skip
    if contact is not None:
        ledger.charge(revision.charges(decision.action, contact.at))
        if len(beside) > 1:
            ledger.charge(charges_beside(revision, beside, decision.action, contact.at))
        if deferred:
            within = revision.window if confirm is None else confirm.within
            ledger.reserve(decision.decision_id, position, contact.at + within)
