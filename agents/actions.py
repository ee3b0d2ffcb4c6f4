"""Actions: every way in which an agent may act on a customer, and the way not to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from agents.spec import Agent, Channel

NONE_ID = "none"

Scope = Literal["all", "agent", "kind", "offer", "channel", "action"]


@dataclass(frozen=True, slots=True)
class Action:
    """One (offer, variant, channel, send window), or `none`.

    Args:
        id: `offer/variant@channel#window`, without `#window` where the contact is sent at once.
        cost: currency per contact, channel and offer together.
        window: name of the channel's send window, empty if sent at once.
    """

    id: str
    offer: str
    kind: str
    variant: str
    channel: str
    window: str
    cost: float
    text: str

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


def expand(agent: Agent, channels: Mapping[str, Channel]) -> tuple[Action, ...]:
    """List the actions of an agent: `none` first, then offers in the order they are written.

    Raises:
        KeyError: an offer names a channel that the workspace does not have (checked at load).
    """
    actions = [NONE]
    for offer_name, offer in agent.offers.items():
        for variant_name, variant in offer.variants.items():
            for channel_name in offer.channels:
                channel = channels[channel_name]
                for window in channel.windows or ("",):
                    name = f"{offer_name}/{variant_name}@{channel_name}"
                    actions.append(
                        Action(
                            id=f"{name}#{window}" if window else name,
                            offer=offer_name,
                            kind=offer.kind,
                            variant=variant_name,
                            channel=channel_name,
                            window=window,
                            cost=channel.cost + offer.cost,
                            text=variant.text,
                        )
                    )
    return tuple(actions)
