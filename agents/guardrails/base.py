"""What every guardrail is given, and what it answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from agents.actions import Action
from agents.context import Contact, Context, PastEvent
from agents.counters import Counter
from agents.expressions import Bound, Language
from agents.spec import Agent, Rule, Scope, Selector, Workspace

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
    """What guardrails are compiled from: the documents, the expanded actions, the language.

    Args:
        actions: `none` first.
        signals: by the word of each event that the agent or the workspace knows, what caps and
            cooldowns take it for: response, rejection, failure or nothing.
    """

    workspace: Workspace
    agent: Agent
    actions: Sequence[Action]
    language: Language
    signals: Mapping[str, str | None]

    def group(self, scope: Scope, among: Iterable[int] | None = None) -> dict[str, Indices]:
        """Positions of all actions but `none`, or of those given, by what they share in a scope."""
        groups: dict[str, list[int]] = defaultdict(list)
        for index in self.every() if among is None else among:
            groups[self.actions[index].key(scope)].append(index)
        return {key: tuple(indices) for key, indices in groups.items()}

    def every(self) -> Indices:
        """Positions of all actions but `none`."""
        return tuple(range(1, len(self.actions)))

    def chosen(self, rule: Rule) -> Indices:
        """Positions of the actions that a rule speaks of, by its `on` and `except`."""
        if rule.on is None and rule.except_ is None:
            return self.every()
        if self.agent.supplied is not None and not names_offers(rule):  # then all are alike
            return self.every() if speaks_of(rule, self.actions[1]) else ()
        return spoken_of(rule, self.actions)

    def signalled(self, signal: str) -> frozenset[str]:
        """The words of all events that caps and cooldowns take for a signal."""
        return frozenset(word for word, means in self.signals.items() if means == signal)


class Moment(NamedTuple):
    """One customer at one moment, with what several rules need worked out once.

    Args:
        context: features, contacts, events, usage, placement.
        zone: the customer's time zone, None if unknown.
        bound: the features, for expressions.
        sends: by (channel, window), the instant a contact decided now would be sent; None where
            it depends on a zone that is unknown.
    """

    context: Context
    zone: str | None
    bound: Bound
    sends: Mapping[tuple[str, str], datetime | None]


class Compiled(Protocol):
    """What is known of any compiled rule."""

    @property
    def name(self) -> str:
        """The name that reasons begin with."""

    @property
    def actions(self) -> Indices:
        """Positions of all actions it speaks of."""

    @property
    def lookback(self) -> timedelta:
        """How far back in a customer's contacts and events it looks."""

    @property
    def reads_contacts(self) -> bool:
        """Whether it looks at contacts, or at events only."""

    @property
    def hears(self) -> frozenset[str]:
        """The words of the events that it must know of."""

    @property
    def counters(self) -> tuple[Counter, ...]:
        """What it counts over all customers."""


class Guardrail(Compiled, Protocol):
    """A hard rule. It may raise: whoever asks then bars all its actions (fail closed)."""

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Yield what it bars for this customer now."""


class Plain:
    """Defaults of a rule that looks at nothing but the features."""

    lookback: timedelta = timedelta(0)
    reads_contacts: bool = False
    hears: frozenset[str] = frozenset()
    counters: tuple[Counter, ...] = ()


class Ranking(Compiled, Protocol):
    """A rule that depends on what the others allow; asked after them, in a fixed order."""

    def bars_among(self, moment: Moment, allowed: Sequence[bool]) -> Iterator[Bar]:
        """Yield what it bars, given what is allowed so far; (A,) with `none` first."""


def speaks_of(rule: Rule, action: Action, parts: Iterable[Action] = ()) -> bool:
    """Say whether a rule speaks of an action, by its `on` and `except`.

    Args:
        rule: what is written.
        action: one action.
        parts: what a bundle sends along. It is barred when that is, so `on` means the bundle
            with it; `except` lets go only a bundle that fits by itself.
    """
    if rule.except_ is not None and selects(rule.except_, action):
        return False
    return rule.on is None or any(selects(rule.on, each) for each in (action, *parts))


def names_offers(rule: Rule) -> bool:
    """Say whether a rule chooses actions by the names of their offers."""
    return any(chosen is not None and chosen.offers for chosen in (rule.on, rule.except_))


def spoken_of(rule: Rule, actions: Sequence[Action]) -> Indices:
    """Return the positions of the actions of an agent that a rule speaks of; `none` never is."""
    by_offer = {action.offer: action for action in actions}
    return tuple(
        i
        for i, action in enumerate(actions)
        if not action.is_none and speaks_of(rule, action, parts_of(action, by_offer))
    )


def parts_of(action: Action, by_offer: Mapping[str, Action]) -> tuple[Action, ...]:
    """List what a bundle sends along, as actions of its own channel."""
    included = (by_offer[name] for name in action.includes if name in by_offer)
    return tuple(replace(each, channel=action.channel) for each in included)


def selects(selector: Selector, action: Action) -> bool:
    """Say whether an action fits every list that a selector gives."""
    return (
        (not selector.kinds or action.kind in selector.kinds)
        and (not selector.stages or action.stage in selector.stages)
        and (not selector.offers or action.offer in selector.offers)
        and (not selector.channels or action.channel in selector.channels)
        and (not selector.tags or not action.tags.isdisjoint(selector.tags))
    )


Past = Contact | PastEvent


def shares(past: Past, agent: str, scope: Scope, key: str) -> bool:
    """Say whether something earlier counts in a scope: `key` is what its actions share.

    Offers and actions belong to an agent; a bundle counts for each offer that it includes. An
    event that followed no decision belongs to nobody: it shares only the scope `all`.
    """
    match scope:
        case "all":
            return True
        case "agent":
            return past.agent == agent
        case "kind":
            return past.kind == key
        case "channel":
            return past.channel == key
        case "offer":
            return past.agent == agent and (past.offer == key or key in past.includes)
        case "action":
            return past.agent == agent and past.action == key
