"""Decisions for many customers in one go: the very ones that would be made one after another.

What the ledger knows of them is read, their masks and distributions are computed, and what they
were given is written, all column by column. Where that could differ from one after another, because
a budget may run dry among them, nothing is done, and the caller makes them one after another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from agents.content import Rendered
from agents.context import Contact, Context, FeatureValue, PastEvent
from agents.decisions import Reason, context_record
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


@dataclass(frozen=True, slots=True)
class Made:
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
    """

    requests: Sequence[DecisionRequest]
    features: Sequence[Mapping[str, FeatureValue]]
    at: datetime
    channels: tuple[str, ...]


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
    if active.revision.agent.confirm is not None:
        return None  # each contact is reserved by itself
    rows, past = _recall(ledger, active.revision, asked)
    usage = BatchUsage(ledger, rows)
    drawn = draw_batch(rows, active.policy, ids := _ids(rows.count), secret)
    if not is_steady(rows, drawn.allowed, usage.readings, usage.charges):
        return None
    chances = drawn.propensity  # (N,)
    lawful = drawn.allowed[np.arange(rows.count), drawn.actions] & (chances > 0.0) & (chances <= 1)
    if not lawful.all():
        return None
    written = _Writing(active, asked, rows, past, drawn, usage)
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


def _recall(ledger: Ledger, revision: Revision, asked: Asked) -> tuple[Batch, _Past]:
    """Read what the ledger knows of the customers, but for what is used of budgets."""
    customers = [request.customer for request in asked.requests]
    at = asked.at
    contacts = ledger.contacts_of(customers, at - revision.lookback)
    events = ledger.events_of(customers, revision.hears, at - revision.event_lookback, at)
    past = _Past(
        [contacts.get(customer, ()) for customer in customers],
        [events.get(customer, ()) for customer in customers],
    )
    rows = Batch(
        revision, at, customers, gather_columns(revision.workspace.customer, asked.features),
        gather_contacts(past.contacts), gather_events(past.events),
        {}, ledger.suppressed_of(customers, at),
        placement=asked.requests[0].placement, channels=asked.channels,
    )  # fmt: skip
    return rows, past


class _Writing:
    """Makes the records of a batch, in order."""

    def __init__(
        self,
        active: Active,
        asked: Asked,
        rows: Batch,
        past: _Past,
        drawn: Drawn,
        usage: BatchUsage,
    ) -> None:
        revision, self._past = active.revision, past
        self.new: list[NewDecision] = []
        self._active, self._asked, self._rows, self._usage = active, asked, rows, usage
        self._drawn, self._zones = drawn, rows.zone.codes.tolist()
        self._groups = [GROUPS[group] for group in drawn.groups.tolist()]
        self._actions, self._propensity = drawn.actions.tolist(), drawn.propensity.tolist()
        self._explored = drawn.explored.tolist()
        self._barred = (drawn.codes[:, 1:] != 0).all(axis=1).tolist()
        self._masks: dict[bytes, tuple[tuple[str | None, ...], orjson.Fragment]] = {}
        self._closes = closes_at(revision.agent, asked.at)
        self._shared = {
            "agent": revision.agent.agent,
            "revision": revision.id,
            "actions": orjson.Fragment(orjson.dumps(revision.action_ids)),
            "at": asked.at.isoformat(),
        }

    def add(self, row: int, decision_id: str) -> Made:
        """Make one record, and charge what the decision uses."""
        revision, request = self._active.revision, self._asked.requests[row]
        position, zone = self._actions[row], self._zones[row]
        context = self._context(row, zone)
        self._usage.charge(position, zone)
        action = revision.actions[position]
        treated = self._groups[row] is Group.TREATMENT
        made = Made(
            decision_id, self._asked.at, self._active,
            self._active.policy.name if treated else "uniform",
            self._active.snapshot if treated else "",
            self._groups[row], self._reason(row), position, self._propensity[row],
            self._explored[row], self._usage.send_at(position, zone),
            None if action.is_none else revision.content(action, context),
            self._drawn.distribution[row], self._mask(row)[0],
        )  # fmt: skip
        contact = None
        if made.send_at is not None:
            contact = Contact(
                made.send_at, revision.agent.agent, action.offer, action.kind, action.channel,
                action.id, action.includes, decision_id,
            )  # fmt: skip
        body = orjson.dumps(self._record(row, made, context), option=orjson.OPT_SERIALIZE_NUMPY)
        self.new.append(
            NewDecision(
                decision_id, request.customer, request.key, request.fingerprint, body,
                self._asked.at, self._closes, contact,
            )
        )  # fmt: skip
        return made

    def _context(self, row: int, zone: int) -> Context:
        rows, customer = self._rows, self._rows.customers[row]
        return Context(
            customer, rows.at, self._asked.features[row], tuple(self._past.contacts[row]),
            tuple(self._past.events[row]), self._usage.before(zone), rows.placement, rows.channels,
            rows.suppressed.get(customer, ()),
        )  # fmt: skip

    def _reason(self, row: int) -> Reason:
        if self._groups[row] is Group.CONTROL:
            return Reason.CONTROL
        if self._barred[row]:
            return Reason.ALL_BARRED
        return Reason.RANDOM if self._groups[row] is Group.RANDOM else Reason.POLICY

    def _record(self, row: int, made: Made, context: Context) -> dict[str, Any]:
        """Return what `Decision.to_record` would, with arrays and fragments of JSON in it."""
        treated = made.group is Group.TREATMENT
        return {
            **self._shared,
            "decision_id": made.decision_id,
            "policy": made.policy,
            "snapshot": made.snapshot,
            "group": made.group,
            "reason": made.reason,
            "action": made.action,
            "floor": self._active.revision.agent.policy.floor if treated else 1.0,
            "explored": made.explored,
            "customer": context.customer,
            **context_record(context),
            "mask": self._mask(row)[1],
            "distribution": made.distribution,
            "expected": self._drawn.expected[row],
            "send_at": None if made.send_at is None else made.send_at.isoformat(),
        }

    def _mask(self, row: int) -> tuple[tuple[str | None, ...], orjson.Fragment]:
        """Return the reasons of a row, also as JSON; most rows share theirs with others."""
        codes = self._drawn.codes[row]
        key = codes.tobytes()
        found = self._masks.get(key)
        if found is None:
            reasons = self._drawn.reasons.mask(codes).reasons
            found = self._masks[key] = reasons, orjson.Fragment(orjson.dumps(reasons))
        return found
