"""Decisions and outcomes: what happened, with all that is needed to replay and audit it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from agents.actions import Action
from agents.context import Contact, Context, FeatureValue, PastEvent
from agents.groups import Group
from agents.mask import Mask
from agents.supplied import read_supplied
from agents.units import parse_instant


class Reason(StrEnum):
    """Why a decision came out as it did."""

    POLICY = "policy"
    RANDOM = "random_group"
    CONTROL = "control_group"
    ALL_BARRED = "all_barred"


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """One draw, complete: context, mask, the very distribution sampled from, and the action.

    Args:
        decision_id: unique; with the secret it determines the draw.
        at: the instant of the decision (UTC).
        revision, policy, snapshot: what decided; `snapshot` is empty for a policy without state.
        context: what was known, contacts included.
        actions: ids of all actions, `none` first; length A.
        mask: why each action was barred; length A.
        distribution: probability of each action, 0 where barred, sums to 1; length A.
        expected: the policy's expected reward of each action in currency, NaN if it has none.
        action: position of the drawn action.
        floor: share of the distribution spread evenly over the allowed actions.
        explored: whether an allowed action that the policy takes for better was passed over: of a
            larger expected reward or, where it has none, of a larger probability before the floor.
        send_at: when the contact reaches the customer (UTC), None for `none`.
    """

    decision_id: str
    at: datetime
    agent: str
    revision: str
    policy: str
    snapshot: str
    group: Group
    reason: Reason
    context: Context
    actions: tuple[str, ...]
    mask: Mask
    distribution: NDArray[np.float64]
    expected: NDArray[np.float64]
    action: int
    floor: float
    explored: bool
    send_at: datetime | None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Decision) and self.to_record() == other.to_record()

    def __hash__(self) -> int:
        return hash(self.decision_id)

    @property
    def propensity(self) -> float:
        """The probability with which the drawn action was drawn."""
        return float(self.distribution[self.action])

    @property
    def action_id(self) -> str:
        """The id of the drawn action."""
        return self.actions[self.action]

    def contact(self, action: Action) -> Contact | None:
        """Return the contact that the decision makes, None for `none`."""
        return contact_of(self.decision_id, self.agent, action, self.send_at)

    def to_record(self) -> dict[str, Any]:
        """Return plain values for JSON: instants as text, NaN as None."""
        return {
            "decision_id": self.decision_id,
            "agent": self.agent,
            "revision": self.revision,
            "policy": self.policy,
            "snapshot": self.snapshot,
            "group": self.group,
            "reason": self.reason,
            "actions": self.actions,
            "action": self.action,
            "floor": self.floor,
            "explored": self.explored,
            "at": self.at.isoformat(),
            "customer": self.context.customer,
            **context_record(self.context),
            "mask": list(self.mask.reasons),
            "distribution": self.distribution.tolist(),
            "expected": [None if math.isnan(v) else v for v in self.expected.tolist()],
            "send_at": None if self.send_at is None else self.send_at.isoformat(),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Rebuild a decision from `to_record`."""
        at = parse_instant(record["at"])
        send_at = record["send_at"]
        return cls(
            **{name: record[name] for name in _PLAIN if name not in ("group", "reason", "actions")},
            at=at,
            group=Group(record["group"]),
            reason=Reason(record["reason"]),
            context=read_context(record, customer=record["customer"], at=at),
            actions=tuple(record["actions"]),
            mask=Mask(tuple(record["mask"])),
            distribution=np.array(record["distribution"], dtype=np.float64),
            expected=np.array(record["expected"], dtype=np.float64),
            send_at=None if send_at is None else parse_instant(send_at),
        )


def contact_of(
    decision_id: str, agent: str, action: Action, send_at: datetime | None
) -> Contact | None:
    """Return the contact that a decision for an action makes, None if it sends nothing."""
    if send_at is None:
        return None
    return Contact(
        send_at, agent, action.offer, action.kind, action.channel, action.id, action.includes,
        decision_id,
    )  # fmt: skip


_PLAIN = (
    "decision_id", "agent", "revision", "policy", "snapshot", "group", "reason", "actions",
    "action", "floor", "explored",
)  # fmt: skip


def context_record(context: Context) -> dict[str, Any]:
    """Return everything of a context but customer and instant as plain values for JSON.

    An instant among the features is {"instant": text}, to be told from text.
    """
    supplied = context.supplied
    return ({} if supplied is None else {"supplied": supplied.to_record()}) | {
        "features": features_record(context.features),
        "contacts": [_past_record(contact) for contact in context.contacts],
        "events": [_past_record(event) for event in context.events],
        "usage": dict(context.usage),
        "placement": context.placement,
        "channels": list(context.channels),
        "suppressed": list(context.suppressed),
    }


_PLAIN_TYPES = frozenset({bool, int, float, str})


def features_record(features: Mapping[str, FeatureValue]) -> dict[str, Any]:
    """Return features as plain values for JSON."""
    if _PLAIN_TYPES.issuperset(map(type, features.values())):
        return dict(features)
    return {
        name: _plain(value) if isinstance(value, (datetime, tuple)) else value
        for name, value in features.items()
    }


def read_context(record: Mapping[str, Any], *, customer: str, at: datetime) -> Context:
    """Rebuild a context from `context_record`."""
    return Context(
        customer,
        at,
        read_features(record["features"]),
        tuple(Contact(**_past(entry)) for entry in record["contacts"]),
        tuple(PastEvent(**_past(entry)) for entry in record["events"]),
        record["usage"],
        record["placement"],
        tuple(record["channels"]),
        tuple(record.get("suppressed", ())),
        read_supplied(record.get("supplied")),
    )


def read_features(record: Mapping[str, Any]) -> dict[str, FeatureValue]:
    """Rebuild features from `features_record`."""
    return {name: _feature(value) for name, value in record.items()}


def _plain(value: datetime | tuple[str, ...]) -> Any:
    return {"instant": value.isoformat()} if isinstance(value, datetime) else list(value)


def _feature(value: Any) -> FeatureValue:
    if isinstance(value, dict):
        return parse_instant(value["instant"])
    return tuple(value) if isinstance(value, list) else value


def _past_record(past: Contact | PastEvent) -> dict[str, Any]:
    record: dict[str, Any] = {
        "at": past.at.isoformat(), "agent": past.agent, "offer": past.offer, "kind": past.kind,
        "channel": past.channel, "action": past.action, "includes": list(past.includes),
        "decision_id": past.decision_id,
    }  # fmt: skip
    if isinstance(past, PastEvent):
        record["event"] = past.event
    return record


def _past(record: Mapping[str, Any]) -> dict[str, Any]:
    at, includes = parse_instant(record["at"]), tuple(record["includes"])
    return {**record, "at": at, "includes": includes}


@dataclass(frozen=True, slots=True)
class OutcomeEvent:
    """An event that followed a decision.

    Args:
        outcome_id: the caller's id; a second event with the same id counts once.
        outcome: the word it was reported by: the `event` of one or more outcomes, or an event of
            the workspace.
        at: when it happened (UTC), by the server's clock unless the caller says.
        properties: numbers that came with it, such as an amount.
        decision_id: empty if it followed no decision.
        customer: whose event it is.
    """

    outcome_id: str
    decision_id: str
    outcome: str
    at: datetime
    properties: Mapping[str, float] = field(default_factory=dict)
    customer: str = ""

    def to_record(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        record = {name: getattr(self, name) for name in self.__slots__}
        return record | {"at": self.at.isoformat(), "properties": dict(self.properties)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Rebuild an outcome from `to_record`."""
        return cls(**{**record, "at": parse_instant(record["at"])})
