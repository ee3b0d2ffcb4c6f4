"""What the server does inside one transaction: note what became of a contact.

A contact counts from the moment it is decided, at the instant for which it is planned; one that
is confirmed later counts at the later instant from then on. It is given back when it was released,
when nobody has confirmed it in time, or when the customer objects before it is sent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from agents.context import Contact
from agents.corrections import undone
from agents.counters import Charge
from agents.decisions import Decision
from agents.errors import ConflictError, ContextError, UnknownNameError
from agents.guardrails.cooldown import Cooldown
from agents.guardrails.frequency import FrequencyCap
from agents.guardrails.quiet_hours import QuietHours
from agents.guardrails.suppressed import EVERY
from agents.revision import Revision
from agents.rewards import closes_at, counted
from serving.clock import Clock
from serving.deciding.active import ActiveAgents
from serving.deciding.recount import charges_beside
from serving.hearing.reported import used_beside
from serving.ledger import Ledger, StoredDecision
from serving.ledger.deliveries import Delivery, DeliveryState


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a contact's state is now; `replayed` if it was so before."""

    decision_id: str
    state: DeliveryState
    replayed: bool


@dataclass(frozen=True, slots=True)
class Deliverer:
    """Notes what became of contacts, with the ledger's transaction as its only state."""

    agents: ActiveAgents
    clock: Clock

    def report(
        self,
        ledger: Ledger,
        decision_id: str,
        state: Literal["delivered", "released"],
        claimed: datetime | None,
    ) -> Delivered:
        """Note that a contact is being delivered, or that it will not be.

        Args:
            ledger: inside a transaction.
            decision_id: of the decision that makes it.
            state: what becomes of it. Where the agent has `confirm`, `delivered` asks whether it
                may be sent now, and is refused if not.
            claimed: the simulated time, None in production.

        Raises:
            UnknownNameError: there is no such decision.
            ContextError: the decision sends nothing.
            ConflictError: it must not be sent, or it was sent already, or it was learned by a
                learner that forgets nothing.
        """
        stored = ledger.find_decision(decision_id)
        if stored is None:
            raise UnknownNameError(f"there is no decision {decision_id!r}")
        decision, now = stored.decision, self.clock.now(claimed)
        if decision.send_at is None:
            raise ContextError(f"decision {decision_id!r} is for none: it sends nothing")
        told = ledger.delivery(decision_id)
        if told is not None and told.state != "reserved":
            return _again(decision_id, told, state)
        if state == "released":
            if told is None:
                _require_unlearned(decision, self.agents.deciding(ledger, decision), now, ledger)
            self.give_back(ledger, stored, "released", now, "released by its sender")
            return Delivered(decision_id, "released", False)
        revision = self.agents.deciding(ledger, decision)
        late = None if told is None else _confirm(ledger, decision, revision, told, now)
        self._settle(ledger, stored, revision, "delivered", {}, now, late=late)
        return Delivered(decision_id, "delivered", False)

    def give_back(
        self, ledger: Ledger, stored: StoredDecision, state: DeliveryState, at: datetime, why: str
    ) -> None:
        """Undo a contact that was not made: it uses nothing, and its decision teaches nothing.

        Args:
            ledger: inside a transaction.
            stored: the decision that makes it.
            state: `released` or `expired`.
            at: the instant (UTC).
            why: in words, for the log.
        """
        decision = stored.decision
        revision = self.agents.deciding(ledger, decision)
        contact = decision.contact(revision.actions[decision.action])
        assert contact is not None, "only what sends something is given back"
        events = ledger.standing_events(decision.decision_id)
        others = self.agents.beside(ledger, decision.agent, revision.id)
        also = used_beside(revision, others, contact)
        ledger.charge(undone(revision, decision.at, contact, events, also))
        beside = charges_beside(revision, others, decision.action, contact.at)
        ledger.charge([Charge(c.counter, c.bucket, -c.amount) for c in beside])
        taught: dict[str, Any] = {}
        order = {event.outcome_id: place for place, event in enumerate(events)}
        entries = counted(revision.agent, decision.at, events)
        for entry in sorted(entries, key=lambda entry: order[entry.event.outcome_id]):
            known = taught.setdefault(entry.outcome, {"count": 0, "at": entry.event.at.isoformat()})
            known["count"] += 1
        self._settle(ledger, stored, revision, state, {"why": why, "counted": taught}, at)

    def expire(self, ledger: Ledger, now: datetime, limit: int) -> int:
        """Give back up to `limit` contacts that nobody has confirmed in time; return how many."""
        overdue = ledger.overdue(now, limit)
        for decision_id in overdue:
            stored = ledger.find_decision(decision_id)
            if stored is not None:
                self.give_back(ledger, stored, "expired", now, "not confirmed in time")
        return len(overdue)

    def _settle(
        self,
        ledger: Ledger,
        stored: StoredDecision,
        revision: Revision,
        state: DeliveryState,
        body: dict[str, Any],
        at: datetime,
        late: Contact | None = None,
    ) -> None:
        decision = stored.decision
        ledger.settle(
            decision.decision_id, stored.position, state, body,
            customer=decision.context.customer, at=at,
            closes=closes_at(revision.agent, decision.at), late=late,
        )  # fmt: skip


def _again(decision_id: str, told: Delivery, state: str) -> Delivered:
    """Answer what became of a contact before; refuse what contradicts it."""
    if state == "delivered" and told.given_back:
        raise ConflictError(
            f"do not send: the contact of decision {decision_id!r} is {told.state}; decide again"
        )
    if state == "released" and told.state == "delivered":
        raise ConflictError(
            f"the contact of decision {decision_id!r} is delivered; report its failure as an event"
        )
    return Delivered(decision_id, told.state, True)


def _require_unlearned(
    decision: Decision, revision: Revision, now: datetime, ledger: Ledger
) -> None:
    """Refuse to give back what a loop's learner has learned: its lesson is whole, and stays.

    The learner of declared offers takes its lessons back instead.

    Raises:
        ConflictError: the window in which the action's reward counted has ended.
    """
    if revision.agent.supplied is None:
        return
    closed, reached = closes_at(revision.agent, decision.at), ledger.last_instant()
    if closed <= (now if reached is None else max(now, reached)):
        raise ConflictError(
            f"decision {decision.decision_id!r} has been learned since its window ended at"
            f" {closed.isoformat(timespec='seconds')}, and a loop forgets nothing: release what is"
            " not shown before, or ask with deferActivation and activate what is"
        )


def _confirm(
    ledger: Ledger, decision: Decision, revision: Revision, told: Delivery, now: datetime
) -> Contact | None:
    """Refuse a reserved contact that must not be sent now; return it if it is later than planned.

    Raises:
        ConflictError: nobody has asked in time, the customer objects, the channel is closed, or
            sent that late it would break a cap or a cooldown.
    """
    assert decision.send_at is not None, "only what sends something is reserved"
    _require_timely(told, now)
    _require_open(ledger, decision, revision, now)
    return _made_late(ledger, decision, revision, now) if now > decision.send_at else None


def _require_timely(told: Delivery, now: datetime) -> None:
    if told.due is not None and told.due <= now:
        raise ConflictError(
            f"do not send: the contact was reserved until {told.due.isoformat()}; decide again"
        )


def _require_open(ledger: Ledger, decision: Decision, revision: Revision, now: datetime) -> None:
    """Refuse a contact that must not be sent now, whatever was known when it was decided."""
    action = revision.actions[decision.action]
    named = ledger.suppressed(decision.context.customer, now)
    if EVERY in named or action.channel in named:
        raise ConflictError("do not send: the customer is not to be contacted any more")
    moment = revision.moment(replace(decision.context, at=now))
    quiet = moment.sends.get((action.channel, action.window)) != now or any(
        decision.action in bar.actions
        for rule in revision.guardrails
        if isinstance(rule, QuietHours)
        for bar in rule.bars(moment)
    )
    if quiet:
        raise ConflictError(
            f"do not send now: {action.channel} is not open for this customer at"
            f" {now.isoformat(timespec='seconds')}"
        )


def _made_late(ledger: Ledger, decision: Decision, revision: Revision, now: datetime) -> Contact:
    """Return a contact that is made later than planned, from when on caps and cooldowns count it.

    They are asked as if it were decided now. Others were decided while it stood where it was
    planned, so moving it could put two into one span, or one into a pause. What it uses of budgets
    and capacities stays in the period for which it was planned.

    Raises:
        ConflictError: a cap or a cooldown bars it now.
    """
    customer = decision.context.customer
    contacts = tuple(
        contact
        for contact in ledger.contacts(customer, now - revision.lookback)
        if contact.decision_id != decision.decision_id
    )
    events = ledger.events(customer, revision.hears, now - revision.event_lookback, now)
    context = replace(decision.context, at=now, contacts=contacts, events=events)
    moment = revision.moment(context)
    for rule in revision.guardrails:
        if isinstance(rule, FrequencyCap | Cooldown):
            for bar in rule.bars(moment):
                if decision.action in bar.actions:
                    raise ConflictError(
                        f"do not send: it is later than planned, and now barred by {rule.name}"
                        f" ({bar.reason}); decide again"
                    )
    contact = decision.contact(revision.actions[decision.action])
    assert contact is not None, "only what sends something is delivered"
    return replace(contact, at=now)
