"""Actions: every way in which an agent may act on a customer, and the way not to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.spec import Agent, Channel, Offer, Scope, Stage, Variant

NONE_ID = "none"


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
