"""Channels: a request may name the only ones that its decision may use."""

from __future__ import annotations

from collections.abc import Iterator

from agents.guardrails.base import Bar, Indices, Moment, Plain, Rulebook


class Channels(Plain):
    """Bars the actions of every channel that a request which names channels does not name."""

    name = "channels"

    def __init__(self, book: Rulebook) -> None:
        self.actions: Indices = book.every()
        self._groups = book.group("channel")

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar by the channels that the request asks for; without any, nothing."""
        asked = moment.context.channels
        if asked:
            for channel, indices in self._groups.items():
                if channel not in asked:
                    yield Bar(indices, f"{channel} is not among the channels asked for")
