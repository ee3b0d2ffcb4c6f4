"""Decisions for many customers in one go: the very ones that would be made one after another.

What the ledger knows of them is read, their masks and distributions are computed, and what they
were given is written, all column by column. Where that could differ from one after another, because
a budget may run dry among them, nothing is done, and the caller makes them one after another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from agents.content import Rendered
from agents.context import Contact, Context, FeatureValue, PastEvent
from agents.decisions import Reason, features_record
from agents.groups import Group
from agents.revision import Revision
from agents.rewards import closes_at
from agents.tabular.batch import Batch
from agents.tabular.gathered import gather_columns, gather_contacts, gather_events
from agents.tabular.groups import GROUPS
from agents.tabular.steady import is_steady
from policies.table import Drawn, draw_batch
from serving.deciding.active import Active
from serving.deciding.batch_usage import BatchUsage
from serving.deciding.decider import DecisionRequest
from serving.ids import new_id
from serving.ledger import Ledger
from serving.ledger.bulk import NewDecision
from serving.ledger.packing import pack_mask


class Made(NamedTuple):
    """A decision that was written, as far as its caller is told of it.

    Args:
        active: what decides for the agent.
        policy, snapshot: what decided.
        action: position of the drawn action.
        content: the words for the customer, None for `none`.
        distribution: (A,) what was drawn from.
        reasons: why each action was barred, None where it was not.
    """

    decision_id: str
    at: datetime
    active: Active
    policy: str
    snapshot: str
    group: Group
    reason: Reason
    action: int
    propensity: float
    explored: bool
    send_at: datetime | None
    content: Rendered | None
    distribution: NDArray[np.float64]
    reasons: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """Customers of whom each is asked for once, all with the same options.

    Args:
        requests: N of them.
        features: theirs, checked.
        at: now.
        channels: as of a context.
        names: ids that the decisions are to have, None for new ones.
    """

    requests: Sequence[DecisionRequest]
    features: Sequence[Mapping[str, FeatureValue]]
    at: datetime
    channels: tuple[str, ...]
    names: Sequence[str | None]


def decide_columnwise(
    ledger: Ledger, active: Active, asked: Asked, secret: bytes
) -> list[Made] | None:
    """Decide for many customers and write the decisions, if the budgets surely allow that.

    Args:
        ledger: inside a transaction.
        active: what decides for all of them, alone.
        asked: N customers.
        secret: the server's key of draws.

    Returns:
        N decisions; None, and nothing is written, if they must be made one after another.

    Raises:
        StateError: the policy's probabilities are not finite, or the ledger cannot be used.
    """
    agent = active.revision.agent
    if agent.confirm is not None or agent.supplied is not None:
        return None  # each contact is reserved by itself; or each request has its own actions
    rows = _recall(ledger, active.revision, asked)
    usage = BatchUsage(ledger, rows)
    ids = [name or made for name, made in zip(asked.names, _ids(rows.count), strict=True)]
    drawn = draw_batch(rows, active.policy, ids, secret)
    if not is_steady(rows, drawn.allowed, usage.readings, usage.charges):
        return None
    chances = drawn.propensity  # (N,)
    lawful = drawn.allowed[np.arange(rows.count), drawn.actions] & (chances > 0.0) & (chances <= 1)
    if not lawful.all():
        return None
    listed = bool(ledger.action_ids(active.revision.id))
    written = _Writing(active, asked, rows, drawn, usage, listed=listed)
    made = [written.add(row, decision_id) for row, decision_id in enumerate(ids)]
    ledger.add_decisions(written.new)
    ledger.charge(usage.charged())
    return made


def _ids(count: int) -> list[str]:
    return [new_id() for _ in range(count)]


class _Past(NamedTuple):
    """What customers did and were sent, by row."""

    contacts: list[Sequence[Contact]]
    events: list[Sequence[PastEvent]]


class _Rows(Batch):
    """Customers who were gathered one by one, so that a context need not be made of columns."""

    told: Sequence[Mapping[str, FeatureValue]] = ()
    past: _Past

    def context(self, row: int) -> Context:
        """Return one customer's context, as the single path has it."""
        customer, asked = self.customers[row], self.placement
        assert isinstance(asked, str)  # one for all of them
        return Context(
            customer, self.at, self.told[row], tuple(self.past.contacts[row]),
            tuple(self.past.events[row]), self.usage, asked, self.channels,
            self.suppressed.get(customer, ()),
        )  # fmt: skip


def _recall(ledger: Ledger, revision: Revision, asked: Asked) -> _Rows:
    """Read what the ledger knows of the customers, but for what is used of budgets."""
    customers = [request.customer for request in asked.requests]
    at = asked.at
    contacts = ledger.contacts_of(customers, at - revision.lookback)
    events = ledger.events_of(customers, revision.hears, at - revision.event_lookback, at)
    past = _Past(
        [contacts.get(customer, ()) for customer in customers],
        [events.get(customer, ()) for customer in customers],
    )
    rows = _Rows(
        revision, at, customers, gather_columns(revision.workspace.customer, asked.features),
        gather_contacts(past.contacts), gather_events(past.events),
        {}, ledger.suppressed_of(customers, at),
        placement=asked.requests[0].placement, channels=asked.channels,
    )  # fmt: skip
    rows.told, rows.past = asked.features, past
    return rows


class _Writing:
    """Makes the records of a batch, in order; as `serving.ledger.packing.pack` has them."""

    def __init__(
        self,
        active: Active,
        asked: Asked,
        rows: _Rows,
        drawn: Drawn,
        usage: BatchUsage,
        *,
        listed: bool,
    ) -> None:
        revision, self._past = active.revision, rows.past
        self.new: list[NewDecision] = []
        self._active, self._asked, self._rows, self._usage = active, asked, rows, usage
        self._drawn, self._zones = drawn, rows.zone.codes.tolist()
        self._groups = [GROUPS[group] for group in drawn.groups.tolist()]
        self._actions, self._propensity = drawn.actions.tolist(), drawn.propensity.tolist()
        self._explored = drawn.explored.tolist()
        self._barred = (drawn.codes[:, 1:] != 0).all(axis=1).tolist()
        self._masks: dict[bytes, tuple[tuple[str | None, ...], orjson.Fragment]] = {}
        self._closes = closes_at(revision.agent, asked.at)
        fields = revision.workspace.customer.values()
        self._plain = all(field.type != "instant" for field in fields)  # JSON writes the others
        self._policies = {group: self._policy(group) for group in GROUPS}
        self._heads = {group: self._head(group, listed=listed) for group in GROUPS}

    def _head(self, group: Group, *, listed: bool) -> bytes:
        """Write what all records of a group begin with, without the end of the object."""
        revision, treated = self._active.revision, group is Group.TREATMENT
        shared = {
            "agent": revision.agent.agent,
            "revision": revision.id,
            "policy": self._policies[group][0],
            "snapshot": self._policies[group][1],
            "group": group,
            "floor": revision.agent.policy.deciding_floor if treated else 1.0,
            "at": self._asked.at,
            "placement": self._rows.placement,
            "channels": self._rows.channels,
        } | ({} if listed else {"actions": revision.action_ids})
        return orjson.dumps(shared)[:-1] + b","

    def _policy(self, group: Group) -> tuple[str, str]:
        """Return what decides for a group, and its snapshot."""
        treated = group is Group.TREATMENT
        return (self._active.policy.name, self._active.snapshot) if treated else ("uniform", "")

    def add(self, row: int, decision_id: str) -> Made:
        """Make one record, and charge what the decision uses."""
        revision, request, at = self._active.revision, self._asked.requests[row], self._asked.at
        position, zone, group = self._actions[row], self._zones[row], self._groups[row]
        action, features = revision.actions[position], self._asked.features[row]
        content = None
        if not action.is_none:
            content = revision.content(action, Context(request.customer, at, features))
        made = Made(
            decision_id, at, self._active, *self._policies[group], group, self._reason(row),
            position, self._propensity[row], self._explored[row],
            self._usage.send_at(position, zone), content, self._drawn.distribution[row],
            self._mask(row)[0],
        )  # fmt: skip
        body = self._heads[group] + self._rest(row, made)
        self._usage.charge(position, zone)
        contact = None
        if made.send_at is not None:
            contact = Contact(
                made.send_at, revision.agent.agent, action.offer, action.kind, action.channel,
                action.id, action.includes, decision_id,
            )  # fmt: skip
        self.new.append(
            NewDecision(
                decision_id, request.customer, request.key, request.fingerprint, body, at,
                self._closes, contact,
            )
        )  # fmt: skip
        return made

    def _reason(self, row: int) -> Reason:
        if self._groups[row] is Group.CONTROL:
            return Reason.CONTROL
        if self._barred[row]:
            return Reason.ALL_BARRED
        return Reason.RANDOM if self._groups[row] is Group.RANDOM else Reason.POLICY

    def _rest(self, row: int, made: Made) -> bytes:
        """Write what belongs to one decision alone, without the beginning of the object."""
        customer, features = self._rows.customers[row], self._asked.features[row]
        rest = {
            "decision_id": made.decision_id,
            "reason": made.reason,
            "action": made.action,
            "explored": made.explored,
            "customer": customer,
            "features": features if self._plain else features_record(features),
            "contacts": self._past.contacts[row],
            "events": self._past.events[row],
            "usage": self._usage.before(self._zones[row]),
            "suppressed": self._rows.suppressed.get(customer, ()),
            "mask": self._mask(row)[1],
            "distribution": made.distribution,
            "expected": self._drawn.expected[row],
            "send_at": made.send_at,
        }
        return orjson.dumps(rest, option=orjson.OPT_SERIALIZE_NUMPY)[1:]

    def _mask(self, row: int) -> tuple[tuple[str | None, ...], orjson.Fragment]:
        """Return the reasons of a row, also as packed JSON; most rows share theirs with others."""
        codes = self._drawn.codes[row]
        key = codes.tobytes()
        found = self._masks.get(key)
        if found is None:
            reasons = self._drawn.reasons.mask(codes).reasons
            packed = orjson.Fragment(orjson.dumps(pack_mask(reasons)))
            found = self._masks[key] = reasons, packed
        return found
