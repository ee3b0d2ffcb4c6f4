"""A revision: one agent inside its workspace, compiled, immutable, named by its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from agents.actions import Action, expand
from agents.context import Contact, Context, check_customer, check_features
from agents.errors import UnknownNameError, did_you_mean
from agents.expressions import Language
from agents.guardrails import Moment, Rulebook, compile_guardrails
from agents.mask import Mask, make_mask
from agents.schedule import next_within
from agents.spec import Agent, Workspace
from agents.units import require_utc

HISTORY = timedelta(days=30)
"""Contacts of at least this long are part of every context, for learners to count."""


def _canonical(workspace: Workspace, agent: Agent) -> bytes:
    documents = {
        "agent": agent.model_dump(mode="json", by_alias=True),
        "workspace": workspace.model_dump(mode="json", by_alias=True),
    }
    return json.dumps(documents, separators=(",", ":"), ensure_ascii=False).encode()


class Revision:
    """Everything a decision needs of an agent: its documents, actions and compiled guardrails.

    The id is the SHA-256 of the canonical JSON of both documents, so equal content has one name
    on every machine, and a stored `source` rebuilds the same revision. The order in which offers
    and guardrails are written is content: positions and the precedence of reasons follow it.

    Attributes:
        id: 16 hexadecimal digits.
        actions: `none` first; positions in masks and distributions refer to it.
        lookback: how far back a context's contacts reach: what guardrails and learners look at.
    """

    def __init__(self, workspace: Workspace, agent: Agent, *, source: bytes | None = None) -> None:
        self.source = source or _canonical(workspace, agent)
        self.id = hashlib.sha256(self.source).hexdigest()[:16]
        self.workspace = workspace
        self.agent = agent
        self.actions: tuple[Action, ...] = expand(agent, workspace.channels)
        self.action_ids = tuple(action.id for action in self.actions)
        self._language = Language(workspace.customer)
        book = Rulebook(workspace, agent, self.actions, self._language)
        self.guardrails = compile_guardrails(book)
        self.lookback = max(HISTORY, *(rule.lookback for rule in self.guardrails))
        self._index = {action.id: index for index, action in enumerate(self.actions)}
        self._zone_field = next(
            (name for name, field in workspace.customer.items() if field.type == "zone"), None
        )
        self._slots = tuple({(a.channel, a.window) for a in self.actions if not a.is_none})

    @classmethod
    def from_source(cls, source: bytes) -> Revision:
        """Rebuild a revision from its stored canonical JSON."""
        documents: dict[str, Any] = json.loads(source)
        agent = Agent.model_validate_json(json.dumps(documents["agent"]))
        workspace = Workspace.model_validate_json(json.dumps(documents["workspace"]))
        return cls(workspace, agent, source=source)

    def index(self, action_id: str) -> int:
        """Return an action's position.

        Raises:
            UnknownNameError: the agent has no such action.
        """
        try:
            return self._index[action_id]
        except KeyError:
            raise UnknownNameError(
                f"agent {self.agent.agent!r} has no action {action_id!r};"
                f" {did_you_mean(action_id, self._index)}"
            ) from None

    def context(
        self,
        customer: str,
        at: datetime,
        features: Mapping[str, object],
        contacts: Iterable[Contact] = (),
    ) -> Context:
        """Check a customer's features against the schema and make a context of them.

        Raises:
            ContextError: the features do not fit the customer schema, or the identifier is none.
            ValueError: `at` has no UTC offset, so it names no instant.
        """
        checked = check_features(self.workspace.customer, features)
        return Context(check_customer(customer), require_utc(at), checked, tuple(contacts))

    def mask(self, context: Context) -> Mask:
        """Apply every guardrail to every action for one customer now."""
        moment = self.moment(context)
        return make_mask(
            self.guardrails, moment, len(self.actions), always_act=self.agent.always_act
        )

    def moment(self, context: Context) -> Moment:
        """Work out what several guardrails share: the zone, the bound features, sending times."""
        zone = self._zone(context)
        sends = {slot: self._send_at(*slot, context.at, zone) for slot in self._slots}
        return Moment(context, zone, self._language.bind(context.features), sends)

    def send_at(self, action: Action, context: Context) -> datetime | None:
        """Return when an action decided now would reach the customer; None for `none`."""
        if action.is_none:
            return None
        return self._send_at(action.channel, action.window, context.at, self._zone(context))

    def _zone(self, context: Context) -> str | None:
        zone = context.features.get(self._zone_field) if self._zone_field else None
        return zone if isinstance(zone, str) else None

    def _send_at(
        self, channel: str, window: str, at: datetime, zone: str | None
    ) -> datetime | None:
        if not window:
            return at
        span = self.workspace.channels[channel].windows[window]
        return None if zone is None else next_within(span, at, zone)
