"""What rules about a customer's history share: what counts together, and when it would be sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, cached_property
from typing import TypeVar

from agents.actions import NONE, Action
from agents.context import Contact, PastEvent
from agents.guardrails.base import Indices, Moment, Past, Rulebook, parts_of, speaks_of
from agents.schedule import Slot
from agents.spec import Rule, Scope

AHEAD = timedelta(days=10)
"""No contact is planned as far ahead: `agents.schedule` looks nine days on."""

UNKNOWN = "the sending instant is unknown"

P = TypeVar("P", Contact, PastEvent)
Sent = tuple[Slot, Indices]


def by_slot(book: Rulebook, indices: Iterable[int]) -> tuple[Sent, ...]:
    """Gather actions by channel and send window: they are always sent at the same instant.

    Rules then ask for one sending instant per channel and send window, not one per action.

    Args:
        book: holds the actions.
        indices: positions of the actions to gather.
    """
    slots: dict[Slot, list[int]] = defaultdict(list)
    for index in indices:
        slots[book.actions[index].channel, book.actions[index].window].append(index)
    return tuple((slot, tuple(group)) for slot, group in slots.items())


def by_key(book: Rulebook, scope: Scope, indices: Iterable[int]) -> dict[str, Indices]:
    """Gather actions that count together in a scope; a bundle is in the group of each offer.

    Args:
        book: holds the actions.
        scope: what is counted together.
        indices: positions of the actions to gather.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index in indices:
        action = book.actions[index]
        bundled = action.includes if scope == "offer" else ()
        for key in dict.fromkeys((action.key(scope), *bundled)):
            groups[key].append(index)
    return {key: tuple(group) for key, group in groups.items()}


class Groups:
    """Actions by what they share in a scope, and among those by their sending instant.

    They are gathered when first they are asked for: of actions that came with one request, most
    never are, since most customers have no contacts that could count.

    Args:
        book: holds the actions.
        scope: what is counted together.
        indices: positions of the actions to gather.
    """

    def __init__(self, book: Rulebook, scope: Scope, indices: Indices) -> None:
        self._asked = book, scope, indices

    @cached_property
    def by_key(self) -> dict[str, tuple[Sent, ...]]:
        """All of them, by what they share."""
        book, scope, indices = self._asked
        return {key: by_slot(book, group) for key, group in by_key(book, scope, indices).items()}


def keys(past: Past, agent: str, scope: Scope) -> tuple[str, ...]:
    """Name the groups of a scope in which something earlier counts, for one agent.

    It is `agents.guardrails.base.shares`, solved for the key.

    Example:
        >>> from datetime import UTC
        >>> from agents.context import Contact
        >>> at = datetime(2026, 3, 2, tzinfo=UTC)
        >>> pack = Contact(at, "helper", "pack", "service", "sms", "pack/a@sms", ("help", "sale"))
        >>> keys(pack, "helper", "offer"), keys(pack, "another", "offer")
        (('pack', 'help', 'sale'), ())
    """
    own = past.agent == agent
    match scope:
        case "all":
            return ("",)
        case "agent":
            return ("",) if own else ()
        case "kind":
            return (past.kind,)
        case "channel":
            return (past.channel,)
        case "offer":
            together = (past.offer, *past.includes) if own else ()
            return tuple(dict.fromkeys(together)) if past.includes else together
        case "action":
            return (past.action,) if own else ()


def instants(past: Iterable[Past], agent: str, scope: Scope) -> dict[str, list[datetime]]:
    """List when the things that count in each group of a scope happened, in the order given."""
    groups: dict[str, list[datetime]] = defaultdict(list)
    for item in past:
        for key in keys(item, agent, scope):
            groups[key].append(item.at)
    return groups


def recent(past: Iterable[P], moment: Moment, lookback: timedelta) -> list[P]:
    """Keep the contacts or events that lie within a rule's own lookback, its far end exclusive.

    Args:
        past: contacts or events.
        moment: now.
        lookback: how far back.
    """
    since = moment.context.at - lookback
    return [item for item in past if item.at > since]


def heard(moment: Moment, words: frozenset[str], lookback: timedelta) -> list[PastEvent]:
    """Keep the events of some words within a rule's own lookback."""
    events = [event for event in moment.context.events if event.event in words]
    return recent(events, moment, lookback)


def recognises(catalog: Sequence[Action], agent: str) -> Callable[[Past], Action]:
    """Return what tells of an earlier contact what an action is known by.

    Kinds and channels are known of every agent's contacts; stages, offers and tags only of the
    agent's own. An action that has since been removed is known by its offer.
    """
    by_offer = _by_offer(catalog)

    def recognise(past: Past) -> Action:
        own = by_offer().get(past.offer, NONE) if past.agent == agent else NONE
        return replace(
            own, id=past.action, offer=past.offer if past.agent == agent else "", kind=past.kind,
            channel=past.channel, includes=past.includes if past.agent == agent else (),
        )  # fmt: skip

    return recognise


def remembers(rule: Rule, catalog: Sequence[Action], agent: str) -> Callable[[Past], bool]:
    """Return a test of which earlier contacts and events a rule speaks of.

    Stages, offers and tags are known only of the agent's own contacts, so a workspace's rule that
    counts may not select by them (checked at load). Of an offer that has since been removed, stage
    and tags are unknown, and it counts as if it had those of `on` and not those of `except`: no
    limit is loosened by taking an offer away. An event that followed no decision, such as a
    complaint by telephone, fits no list and so always counts: `on` and `except` then choose what
    is barred, and nothing else.
    """
    if rule.on is None and rule.except_ is None:
        return lambda _past: True
    by_offer, recognise = _by_offer(catalog), recognises(catalog, agent)
    strict = _without_unknown(rule)

    def speaks(past: Past) -> bool:
        if not past.action:
            return True
        known = recognise(past)
        gone = past.agent == agent and past.offer not in by_offer()
        return speaks_of(strict if gone else rule, known, parts_of(known, by_offer()))

    return speaks


def _by_offer(catalog: Sequence[Action]) -> Callable[[], Mapping[str, Action]]:
    """Return what tells the actions by offer, worked out when it is asked for."""
    return cache(lambda: {action.offer: action for action in catalog})


def _without_unknown(rule: Rule) -> Rule:
    """Read a rule as strictly as it can be read of an offer without a known stage and tags."""
    on, exempt = rule.on, rule.except_
    if on is not None:
        on = on.model_copy(update={"stages": (), "tags": ()})
    if exempt is not None and (exempt.stages or exempt.tags):
        exempt = None
    return rule.model_copy(update={"on": on, "except_": exempt})
