"""Actions and what happened earlier: what they are made of, what they share, what selects them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

Slot = tuple[str, str]
"""A channel and a send window: what is sent at the same instant."""


@dataclass(frozen=True, slots=True)
class ActionLaw:
    """What an action is made of; all empty for `none`."""

    id: str
    offer: str = ""
    kind: str = ""
    channel: str = ""
    window: str = ""
    variant: str = ""
    stage: str = ""
    tags: frozenset[str] = frozenset()
    includes: tuple[str, ...] = ()
    cost: float = 0.0
    fallback: bool = False

    @property
    def offers(self) -> tuple[str, ...]:
        """The offer and those sent along with it."""
        return (self.offer, *self.includes)

    @property
    def slot(self) -> Slot:
        """By which channel and in which send window."""
        return (self.channel, self.window)


class Own(Protocol):
    """The agent whose actions are known."""

    @property
    def agent(self) -> str:
        """Its name."""

    @property
    def actions(self) -> Mapping[str, ActionLaw]:
        """Its actions by id."""


@dataclass(frozen=True, slots=True)
class Past:
    """A contact, or an event if `word` is not empty."""

    at: datetime
    agent: str
    action: str
    offer: str = ""
    kind: str = ""
    channel: str = ""
    includes: tuple[str, ...] = ()
    decision_id: str = ""
    word: str = ""

    def keys(self, agent: str, scope: str) -> tuple[str, ...]:
        """Name the groups of a scope in which it counts, for one agent."""
        match scope:
            case "all":
                keys: tuple[str, ...] = ("",)
            case "kind":
                keys = (self.kind,)
            case "channel":
                keys = (self.channel,)
            case _ if self.agent != agent:
                keys = ()
            case "offer":
                keys = (self.offer, *self.includes)
            case "action":
                keys = (self.action,)
            case _:
                keys = ("",)
        return keys


@dataclass(frozen=True, slots=True)
class Selection:
    """The `on` and `except` of a rule."""

    on: Mapping[str, Sequence[str]] | None
    without: Mapping[str, Sequence[str]] | None

    def meant(self, action: ActionLaw, actions: Mapping[str, ActionLaw]) -> bool:
        """Say whether a rule speaks of an action: also of a bundle for what it sends along."""
        if self.without is not None and fits(self.without, action):
            return False
        on = self.on
        return on is None or any(fits(on, each) for each in _sent_along(action, actions))

    def counted(self, past: Sequence[Past], law: Own) -> Sequence[Past]:
        """Keep what a rule counts: also every event that followed no decision."""
        if self.on is None and self.without is None:
            return past
        strict, offers = self._of_removed(), {action.offer for action in law.actions.values()}
        return [
            p for p in past
            if not p.action
            or (strict if p.agent == law.agent and p.offer not in offers else self).meant(
                known(p, law), law.actions
            )
        ]  # fmt: skip

    def _of_removed(self) -> Selection:
        """Return how to read it of an offer that is no more: its stage and tags may be any."""
        unknown = ("stages", "tags")
        on = {w: listed for w, listed in (self.on or {}).items() if w not in unknown}
        lost = any((self.without or {}).get(word) for word in unknown)
        return Selection(None if self.on is None else on, None if lost else self.without)


def _sent_along(action: ActionLaw, actions: Mapping[str, ActionLaw]) -> Iterable[ActionLaw]:
    """List an action and, of a bundle, each offer that goes with it by the same channel."""
    yield action
    for offer in action.includes:
        like = next((other for other in actions.values() if other.offer == offer), None)
        if like is not None:
            yield replace(like, channel=action.channel)


def fits(selector: Mapping[str, Sequence[str]], action: ActionLaw) -> bool:
    """Say whether an action is in every list that is given."""
    one = {
        "kinds": action.kind, "stages": action.stage,
        "offers": action.offer, "channels": action.channel,
    }  # fmt: skip
    for word, listed in selector.items():
        if word == "tags":
            if listed and action.tags.isdisjoint(listed):
                return False
        elif word in one and listed and one[word] not in listed:
            return False
    return True


def known(past: Past, law: Own) -> ActionLaw:
    """Return what is known of an earlier action; of other agents only kind and channel.

    An own action that is no more is known by its offer.
    """
    if past.agent != law.agent:
        return ActionLaw(past.action, kind=past.kind, channel=past.channel)
    alike = (a for a in law.actions.values() if a.offer == past.offer)
    own = law.actions.get(past.action) or next(alike, ActionLaw(past.action, offer=past.offer))
    return replace(
        own, id=past.action, kind=past.kind, channel=past.channel, includes=past.includes
    )


@dataclass(frozen=True, slots=True)
class Group:
    """Actions of one slot that share a key of a scope."""

    key: str
    slot: Slot
    ids: tuple[str, ...]


def grouped(actions: Iterable[ActionLaw], scope: str = "all") -> tuple[Group, ...]:
    """Group actions by what they share; a bundle belongs to each offer that it includes."""
    found: dict[tuple[str, Slot], list[str]] = {}
    for action in actions:
        keys = {
            "kind": (action.kind,), "channel": (action.channel,), "offer": action.offers,
            "action": (action.id,),
        }.get(scope, ("",))  # fmt: skip
        for key in keys:
            found.setdefault((key, action.slot), []).append(action.id)
    return tuple(Group(key, slot, tuple(ids)) for (key, slot), ids in found.items())


def instants(past: Iterable[Past], agent: str, scope: str) -> dict[str, list[datetime]]:
    """List when what counts in each group of a scope happened, in the order given."""
    found: defaultdict[str, list[datetime]] = defaultdict(list)
    for one in past:
        for key in one.keys(agent, scope):
            found[key].append(one.at)
    return found
