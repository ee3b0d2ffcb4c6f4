"""A revision: one agent inside its workspace, compiled, immutable, named by its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from agents.actions import ANY, NONE_ID, Action, Listed, expand, factors, supply
from agents.content import Catalog, Rendered
from agents.context import (
    Contact,
    Context,
    PastEvent,
    check_channels,
    check_customer,
    check_placement,
)
from agents.counters import Charge, Reading
from agents.decisions import OutcomeEvent
from agents.errors import UnknownNameError, did_you_mean
from agents.expressions import Language
from agents.features import Features
from agents.groups import Group, assign
from agents.guardrails import Moment, Rulebook, Rules
from agents.mask import Mask, make_mask
from agents.schedule import Timetable
from agents.spec import Agent, Workspace
from agents.units import require_utc

_OFFERINGS = 64  # lists of supplied actions, and lengths of lists, that are kept compiled

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
        factors: (A, 3) numbers of each action's offer, channel and send window.
        features: checks those of a customer.
        signals: the words of all events it may hear, and what guardrails take each for.
        guardrails, rankings: the compiled rules; rankings depend on what the guardrails allow.
        lookback: how far back a context's contacts reach, for guardrails and learners.
        event_lookback: how far back its events reach.
        hears: the words of the events that a context must hold, for guardrails and, of responses,
            for learners, who see how many contacts went unanswered.
        counters: what its guardrails count over all customers.
        window: how long after a decision its outcomes may count.
        zone_field: the customer field that holds the time zone, None if there is none.
        timetable: when contacts decided now are sent, for all channels and windows.
    """

    def __init__(self, workspace: Workspace, agent: Agent, *, source: bytes | None = None) -> None:
        self.source = source or _canonical(workspace, agent)
        self.id = hashlib.sha256(self.source).hexdigest()[:16]
        self.workspace = workspace
        self.agent = agent
        self.signals = _signals(workspace, agent)
        self.features = Features(workspace.customer)
        self._language = Language(workspace.customer)
        self.window = max(outcome.window for outcome in agent.outcomes.values())
        self.zone_field = next(
            (name for name, field in workspace.customer.items() if field.type == "zone"), None
        )
        self._catalog = Catalog(workspace, agent)
        self._offering = lru_cache(_OFFERINGS)(self._offer)
        self._as_long = lru_cache(_OFFERINGS)(self._of_length)
        self._compile((NONE_ID, ANY))

    def _compile(self, supplied: Sequence[str]) -> None:
        """Set all that depends on what may be offered.

        Args:
            supplied: ids of the actions, of an agent that declares none; `none` first.
        """
        agent, actions = self.agent, expand(self.agent, self.workspace.channels)
        if agent.supplied is not None:
            agent, actions = supply(agent, agent.supplied, self.workspace.channels, supplied[1:])
        self.factors = factors(actions)
        self._book = Rulebook(self.workspace, agent, actions, self._language, self.signals)
        self._slots = tuple((action.channel, action.window) for action in actions)
        self.timetable = Timetable(self.workspace.channels, dict.fromkeys(self._slots[1:]))
        self._name(actions, tuple(action.id for action in actions))
        self._bind(Rules(self._book))

    def _name(self, actions: Sequence[Action], ids: tuple[str, ...]) -> None:
        self.actions, self.action_ids = actions, ids
        self._index = {name: index for index, name in enumerate(ids)}

    def _bind(self, rules: Rules) -> None:
        """Set all that depends on the rules."""
        self._rules = rules
        self.guardrails, self.rankings = rules.guardrails, rules.rankings
        self.lookback = max(HISTORY, rules.lookback)
        self.event_lookback = max(HISTORY, rules.event_lookback)
        responses = {word for word, signal in self.signals.items() if signal == "response"}
        self.hears = rules.hears | responses
        self.counters = rules.counters
        slots = self._slots  # those of a list are known by its length
        self._counted = tuple(
            (counter, {slots[i] for i in counter.actions}) for counter in self.counters
        )

    def offering(self, actions: Sequence[str]) -> Revision:
        """Return the revision with the actions of one of its decisions.

        An agent that declares its offers has the same actions in every decision: it is the
        revision itself. Where they come with each request, guardrails are compiled for these, as
        if they were offers of their own names; what was compiled last is kept, and what does not
        depend on names is compiled once for each length of list. The revision itself then has one
        action beside `none`, which stands for any.

        Args:
            actions: ids of a decision's actions, `none` first.
        """
        if self.agent.supplied is None or self.action_ids == actions:
            return self
        return self._offering(tuple(actions))

    def _offer(self, actions: tuple[str, ...]) -> Revision:
        like = self._as_long(len(actions))
        revision = copy(like)
        listed = Listed(actions, like.actions)
        revision._name(listed, actions)
        if like._rules.named:
            revision._bind(Rules(replace(like._book, actions=listed), like._rules))
        return revision

    def _of_length(self, length: int) -> Revision:
        """Compile for a list of so many actions, `none` included, whatever they are called."""
        revision = copy(self)
        revision._compile((NONE_ID, *(f"{ANY}{number}" for number in range(1, length))))
        return revision

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

    def group(self, context: Context) -> Group:
        """Return the group that a customer belongs to, for this agent."""
        return assign(self.workspace, self.agent.holdout, context)

    def context(
        self,
        customer: str,
        at: datetime,
        features: Mapping[str, object],
        contacts: Iterable[Contact] = (),
        *,
        events: Iterable[PastEvent] = (),
        usage: Mapping[str, float] | None = None,
        placement: str = "",
        channels: Collection[str] = (),
    ) -> Context:
        """Check a customer's features against the schema and make a context of them.

        Raises:
            ContextError: the features do not fit the customer schema, the identifier is none, or
                the workspace has no such channel or placement.
            ValueError: `at` has no UTC offset, so it names no instant.
        """
        checked = self.features.check(features)
        return Context(
            check_customer(customer), require_utc(at), checked,
            tuple(contacts), tuple(events), usage or {},
            check_placement(self.workspace.channels, placement),
            check_channels(self.workspace.channels, channels),
        )  # fmt: skip

    def readings(self, context: Context) -> tuple[Reading, ...]:
        """List what must be read of the organisation's counters before the mask can be made.

        Their amounts, by key, are the context's `usage`; a guardrail bars what it finds no amount
        for.
        """
        if not self.counters:
            return ()
        sends = self.timetable.sends(context.at, self._zone(context))
        readings: dict[Reading, None] = {}
        for counter, slots in self._counted:
            # the present one too: a pace is kept now, whenever its contacts are sent
            for at in {context.at, *[sends[slot] for slot in slots]}:
                if at is not None:
                    readings[counter.reading(at)] = None
        return tuple(readings)

    def charges(self, action: int, send_at: datetime) -> tuple[Charge, ...]:
        """List what a drawn action adds to the organisation's counters."""
        cost = self.actions[action].cost
        amounts = {"contacts": 1.0, "deliveries": 1.0, "cost": cost}
        return tuple(
            Charge(counter.name, counter.bucket(send_at), amounts[counter.measure])
            for counter in self.counters
            if action in counter.actions and counter.measure in amounts
        )

    def event_charges(
        self, event: OutcomeEvent, contact: Contact, *, before: Iterable[str], counted: bool
    ) -> tuple[Charge, ...]:
        """List what an event that followed one of this revision's contacts adds to its counters.

        Args:
            event: what happened.
            contact: what it followed.
            before: the words of the events that followed the same decision earlier.
            counted: whether the event counts towards the reward.
        """
        action, heard = self._index[contact.action], set(before)
        charges: list[Charge] = []
        for counter in self.counters:
            if event.outcome not in counter.events or action not in counter.actions:
                continue
            if counter.measure == "deliveries":
                if heard.isdisjoint(counter.events):
                    charges.append(Charge(counter.name, counter.bucket(contact.at), -1.0))
            elif counter.measure == "events" or counted:
                charges.append(Charge(counter.name, counter.bucket(event.at), 1.0))
        return tuple(charges)

    def mask(self, context: Context) -> Mask:
        """Apply every guardrail to every action for one customer now."""
        return make_mask(
            self.guardrails, self.rankings, self.moment(context), len(self.actions),
            always_act=self.agent.always_act,
        )  # fmt: skip

    def moment(self, context: Context) -> Moment:
        """Work out what several guardrails share: the zone, the bound features, sending times."""
        zone = self._zone(context)
        bound = self._language.bind(context.features, context.at)
        return Moment(context, zone, bound, self.timetable.sends(context.at, zone))

    def send_at(self, action: Action, context: Context) -> datetime | None:
        """Return when an action decided now would reach the customer; None for `none`."""
        if action.is_none:
            return None
        sends = self.timetable.sends(context.at, self._zone(context))
        return sends[action.channel, action.window]

    def content(self, action: Action, context: Context) -> Rendered:
        """Write an action's words for a customer, in the customer's language.

        Raises:
            ContentError: a template needs a field that the customer lacks (the mask bars such).
        """
        if self.agent.supplied is not None:
            return Rendered("", "", "", {})  # the words are the caller's
        return self._catalog.render(action, context.features)

    def _zone(self, context: Context) -> str | None:
        zone = context.features.get(self.zone_field) if self.zone_field else None
        return zone if isinstance(zone, str) else None


def _signals(workspace: Workspace, agent: Agent) -> dict[str, str | None]:
    signals: dict[str, str | None] = {
        word: event.counts_as for word, event in workspace.events.items()
    }
    for name, outcome in agent.outcomes.items():
        signals[outcome.event or name] = outcome.signal
    return signals
