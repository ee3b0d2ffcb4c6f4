"""Actions: every way in which an agent may act on a customer, and the way not to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
from numpy.typing import NDArray

from agents.spec import Agent, Channel, Offer, Scope, Stage, SuppliedSpec, Variant
from agents.supplied import NONE_ID

__all__ = ["ANY", "NONE", "NONE_ID", "Action", "Listed", "expand", "factors", "supply"]


@dataclass(frozen=True, slots=True)
class Action:
    """One (offer, variant, channel, send window), or `none`.

    Args:
        id: `offer/variant@channel#window`, without `#window` where the contact is sent at once.
        window: name of the channel's send window, empty if sent at once.
        cost: currency per contact, channel and offers together.
        text: the variant's own words, a template.
        value: currency; the offer's own worth when agents are arbitrated.
        includes: offers sent along with it.
        fallback: offered only when nothing else is allowed.
    """

    id: str
    offer: str
    kind: str
    variant: str
    channel: str
    window: str
    cost: float
    text: str
    stage: Stage | None = None
    tags: frozenset[str] = frozenset()
    value: float = 0.0
    includes: tuple[str, ...] = ()
    fallback: bool = False

    @property
    def is_none(self) -> bool:
        """Whether this is the action of doing nothing."""
        return self.id == NONE_ID

    def key(self, scope: Scope) -> str:
        """Return what this action shares with all others of the same scope."""
        match scope:
            case "kind":
                return self.kind
            case "offer":
                return self.offer
            case "channel":
                return self.channel
            case "action":
                return self.id
            case _:
                return ""


ANY = "*"
"""The id that stands for any action that a request may list."""

_CALLERS = ""  # the variant of an action whose words are the caller's

NONE = Action(id=NONE_ID, offer="", kind="", variant="", channel="", window="", cost=0.0, text="")


def factors(actions: Sequence[Action]) -> NDArray[np.int64]:
    """Number the offer, channel and send window of each action, (A, 3); `none` is an offer too.

    Example:
        >>> factors([NONE]).tolist()
        [[0, 0, 0]]
    """
    columns = [
        {name: number for number, name in enumerate(dict.fromkeys(names))}
        for names in zip(*((a.offer, a.channel, a.window) for a in actions), strict=True)
    ]
    rows = [
        [column[name] for column, name in zip(columns, (a.offer, a.channel, a.window), strict=True)]
        for a in actions
    ]
    return np.array(rows, dtype=np.int64)  # (A, 3)


def expand(agent: Agent, channels: Mapping[str, Channel]) -> tuple[Action, ...]:
    """List the actions of an agent: `none` first, then offers in the order they are written.

    Raises:
        KeyError: an offer names a channel that the workspace does not have (checked at load).
    """
    actions = [NONE]
    for offer_name, offer in agent.offers.items():
        cost = offer.cost + sum(agent.offers[name].cost for name in offer.includes)
        for variant_name, variant in offer.variants.items():
            for channel_name in offer.channels:
                channel = channels[channel_name]
                made = (offer_name, offer), (variant_name, variant), channel_name
                actions += [
                    _action(*made, window, cost + channel.cost)
                    for window in channel.windows or ("",)
                ]
    return tuple(actions)


def supply(
    agent: Agent, spec: SuppliedSpec, channels: Mapping[str, Channel], ids: Sequence[str]
) -> tuple[Agent, tuple[Action, ...]]:
    """List the actions that came with a request, `none` first, and the agent as if it had them.

    Each is an offer of its own name, in words that are the caller's.
    """
    cost = spec.cost + channels[spec.channel].cost
    offer = Offer.model_construct(
        kind=spec.kind, variants={_CALLERS: Variant()}, channels=(spec.channel,)
    )
    actions = (Action(name, name, spec.kind, _CALLERS, spec.channel, "", cost, "") for name in ids)
    return agent.model_copy(update={"offers": dict.fromkeys(ids, offer)}), (NONE, *actions)


class Listed(Sequence[Action]):
    """Actions that came with a request, each made when first it is asked for.

    All are alike but for their names, and a decision needs one or two of fifty.

    Args:
        ids: of all, `none` first.
        like: as many actions of the same agent under other names, `none` first.

    Example:
        >>> tea = Action("tea", "tea", "promotion", "", "site", "", 0.0, "")
        >>> [(each.id, each.channel) for each in Listed(("none", "milk"), (NONE, tea))]
        [('none', ''), ('milk', 'site')]
    """

    def __init__(self, ids: Sequence[str], like: Sequence[Action]) -> None:
        self._ids, self._like = ids, like
        self._made: dict[int, Action] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._ids)

    @overload
    def __getitem__(self, index: int) -> Action: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Action]: ...
    def __getitem__(self, index: int | slice) -> Action | Sequence[Action]:
        """Return an action by its position, or several."""
        if isinstance(index, slice):
            return tuple(self[each] for each in range(*index.indices(len(self))))
        made = self._made.get(index)
        if made is None:
            name, like = self._ids[index], self._like[index]
            made = like if like.is_none else replace(like, id=name, offer=name)
            self._made[index] = made
        return made


def _action(
    offer: tuple[str, Offer], variant: tuple[str, Variant], channel: str, window: str, cost: float
) -> Action:
    name = f"{offer[0]}/{variant[0]}@{channel}"
    return Action(
        id=f"{name}#{window}" if window else name,
        offer=offer[0],
        kind=offer[1].kind,
        variant=variant[0],
        channel=channel,
        window=window,
        cost=cost,
        text=variant[1].text,
        stage=offer[1].stage,
        tags=frozenset(offer[1].tags),
        value=offer[1].value,
        includes=offer[1].includes,
        fallback=offer[1].fallback,
    )
