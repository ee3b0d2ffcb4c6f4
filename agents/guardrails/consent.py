"""Consent: a channel may be used only if the customer's consent field is exactly true."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from agents.guardrails.base import Bar, Moment, Rulebook


class Consent:
    """Bars every action on a channel whose consent is refused or unknown."""

    name = "consent"
    lookback = timedelta(0)

    def __init__(self, book: Rulebook) -> None:
        self._channels = tuple(
            (field, channel, indices)
            for channel, indices in book.group("channel").items()
            if (field := book.workspace.channels[channel].consent) is not None
        )
        self.actions = tuple(i for _, _, indices in self._channels for i in indices)

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar channel by channel."""
        features = moment.context.features
        for field, channel, indices in self._channels:
            given = features.get(field)
            if given is not True:
                state = "is not given" if given is False else "is unknown"
                yield Bar(indices, f"customer.{field} for {channel} {state}")
