"""What the server does inside one transaction: count a contact that was made elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from agents.context import Contact, Context, check_channels, check_customer
from agents.errors import UnknownNameError, did_you_mean
from agents.guardrails.frequency import FrequencyCap
from agents.revision import Revision
from serving.clock import Clock
from serving.deciding.active import ActiveAgents
from serving.deciding.decider import require_same
from serving.ledger import Ledger


@dataclass(frozen=True, slots=True)
class ContactRequest:
    """A contact that another system, or a person, has made; empty where nothing is known.

    Args:
        contact_id: the caller's id.
        at: when it was made, by what the report says.
    """

    contact_id: str
    customer: str
    channel: str
    fingerprint: bytes
    agent: str = ""
    offer: str = ""
    kind: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Overrun:
    """A cap that was used up already where a contact was made elsewhere."""

    agent: str
    guardrail: str
    reason: str


@dataclass(frozen=True, slots=True)
class Counted:
    """A committed contact.

    Args:
        overruns: the caps that do not hold because of it; no decision could have kept them.
        replayed: whether it was recorded before.
    """

    contact_id: str
    at: datetime
    overruns: tuple[Overrun, ...]
    replayed: bool


@dataclass(frozen=True, slots=True)
class Witness:
    """Records contacts made elsewhere, with the ledger's transaction as its only state.

    They count against the caps and cooldowns of a customer; of the organisation's budgets and
    capacities they use nothing.
    """

    agents: ActiveAgents
    clock: Clock

    def record(self, ledger: Ledger, request: ContactRequest) -> Counted:
        """Record one contact, once.

        Raises:
            ContextError: the id was used for another contact, there is no such channel, or the
                contact is still to come.
            UnknownNameError: there is no such agent.
        """
        known = ledger.find_elsewhere(request.contact_id)
        if known is not None:
            require_same(known.request, request.fingerprint, f"contact_id {request.contact_id!r}")
            overruns = tuple(Overrun(**each) for each in known.body["overruns"])
            return Counted(
                request.contact_id, datetime.fromisoformat(known.body["at"]), overruns, True
            )
        check_customer(request.customer)
        check_channels(self.agents.workspace.channels, (request.channel,))
        if request.agent and ledger.standing(request.agent) is None:
            near = did_you_mean(request.agent, ledger.active())
            raise UnknownNameError(f"there is no agent {request.agent!r}; {near}")
        contact = _contact(request, self.clock.happened(request.at))
        overruns = tuple(self._overruns(ledger, request.customer, contact))
        body: dict[str, Any] = {
            "contact_id": request.contact_id, "at": contact.at.isoformat(),
            "channel": contact.channel, "agent": contact.agent, "offer": contact.offer,
            "kind": contact.kind, "overruns": [asdict(each) for each in overruns],
        }  # fmt: skip
        ledger.add_elsewhere(
            request.contact_id, request.customer, contact, body,
            request=request.fingerprint, closes=contact.at,
        )  # fmt: skip
        return Counted(request.contact_id, contact.at, overruns, False)

    def _overruns(self, ledger: Ledger, customer: str, contact: Contact) -> Iterator[Overrun]:
        for revision in self.agents.standing(ledger):
            caps = [rule for rule in revision.guardrails if isinstance(rule, FrequencyCap)]
            if caps:
                context = Context(
                    customer, contact.at, {},
                    ledger.contacts(customer, contact.at - revision.lookback),
                    ledger.events(
                        customer, revision.hears, contact.at - revision.event_lookback, contact.at
                    ),
                )  # fmt: skip
                yield from _used_up(revision, caps, context, contact)


def _used_up(
    revision: Revision, caps: list[FrequencyCap], context: Context, contact: Contact
) -> Iterator[Overrun]:
    """Yield the caps that would have barred a contact like this one, had it been decided here."""
    moment = revision.moment(context)
    moment = moment._replace(sends=dict.fromkeys(moment.sends, contact.at))
    alike = {
        index
        for index, action in enumerate(revision.actions)
        if action.channel == contact.channel
        and contact.kind in ("", action.kind)
        and contact.offer in ("", action.offer)
    }
    for cap in caps:
        full = next((bar for bar in cap.bars(moment) if not alike.isdisjoint(bar.actions)), None)
        if full is not None:
            yield Overrun(revision.agent.agent, cap.name, full.reason)


def _contact(request: ContactRequest, at: datetime) -> Contact:
    """Make the contact as later decisions remember it.

    Rules that select by kinds or channels know it by them; if its kind is unknown it counts for
    every rule. Its id is a hash, since the caller's may name somebody.
    """
    named = hashlib.sha256(request.contact_id.encode()).hexdigest()[:16]
    action = f"elsewhere@{request.channel}" if request.kind else ""
    return Contact(
        at, request.agent, request.offer, request.kind, request.channel, action, (),
        f"elsewhere:{named}",
    )  # fmt: skip
