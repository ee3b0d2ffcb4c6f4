"""What every guardrail is given, and what it answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from agents.actions import Action, Scope
from agents.context import Contact, Context
from agents.expressions import Language
from agents.spec import Agent, Workspace

Indices = tuple[int, ...]


class Bar(NamedTuple):
    """The actions that one rule bars for one customer now, and why.

    Args:
        actions: positions in the revision's list of actions.
        reason: in words, for people and for the log.
    """

    actions: Indices
    reason: str


@dataclass(frozen=True, slots=True)
class Rulebook:
    """What guardrails are compiled from: the documents, the expanded actions, the language."""

    workspace: Workspace
    agent: Agent
    actions: tuple[Action, ...]
    language: Language

    def group(self, scope: Scope) -> dict[str, Indices]:
        """Positions of all actions but `none`, by what they share in a scope."""
        groups: dict[str, list[int]] = defaultdict(list)
        for index, action in enumerate(self.actions):
            if not action.is_none:
                groups[action.key(scope)].append(index)
        return {key: tuple(indices) for key, indices in groups.items()}

    def every(self) -> Indices:
        """Positions of all actions but `none`."""
        return tuple(i for i, action in enumerate(self.actions) if not action.is_none)


@dataclass(frozen=True, slots=True)
class Moment:
    """One customer at one moment, with what several rules need worked out once.

    Args:
        context: features and contacts.
        zone: the customer's time zone, None if unknown.
        bound: the features, bound for CEL.
        sends: by (channel, window), the instant a contact decided now would be sent; None where
            it depends on a zone that is unknown.
    """

    context: Context
    zone: str | None
    bound: Any
    sends: Mapping[tuple[str, str], datetime | None]

    def send_at(self, action: Action) -> datetime | None:
        """When this action would reach the customer (UTC), None if that cannot be known."""
        return self.sends.get((action.channel, action.window))


class Guardrail(Protocol):
    """A hard rule. It may raise: whoever asks then bars all its actions (fail closed)."""

    @property
    def name(self) -> str:
        """The name that reasons begin with."""

    @property
    def actions(self) -> Indices:
        """Positions of all actions it speaks of."""

    @property
    def lookback(self) -> timedelta:
        """How far back in a customer's contacts it looks."""

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Yield what it bars for this customer now."""


def matches(contact: Contact, agent: str, scope: Scope, key: str) -> bool:
    """Say whether an earlier contact counts in a scope: `key` is what its actions share."""
    match scope:
        case "all":
            return True
        case "agent":
            return contact.agent == agent
        case "kind":
            return contact.kind == key
        case "channel":
            return contact.channel == key
        case "offer":
            return contact.agent == agent and contact.offer == key
        case "action":
            return contact.agent == agent and contact.action == key
