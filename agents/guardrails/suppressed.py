"""Suppressed: who has objected to being contacted is not contacted, whatever an agent says."""

from __future__ import annotations

from collections.abc import Iterator

from agents.guardrails.base import Bar, Indices, Moment, Plain, Rulebook

EVERY = "*"
"""Stands for all channels."""


class Suppressed(Plain):
    """Bars the channels on which the organisation was told not to contact the customer.

    The ledger keeps who that is; it binds every agent and no document can take it back.
    """

    name = "suppressed"

    def __init__(self, book: Rulebook) -> None:
        self.actions: Indices = book.every()
        self._groups = book.group("channel")

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar every channel, or those that the context names."""
        named = moment.context.suppressed
        if EVERY in named:
            yield Bar(self.actions, "the customer is not to be contacted")
            return
        for channel in named:
            if channel in self._groups:
                yield Bar(
                    self._groups[channel], f"the customer is not to be contacted by {channel}"
                )
