"""Requested: what the request itself rules out, of the actions that it lists."""

from __future__ import annotations

from collections.abc import Iterator

from agents.guardrails.base import Bar, Indices, Moment, Plain, Rulebook


class Requested(Plain):
    """Bars the supplied actions that the request excludes, or has given to an earlier slot.

    Without supplied actions it speaks of nothing.
    """

    name = "request"

    def __init__(self, book: Rulebook) -> None:
        self.actions: Indices = book.every() if book.agent.supplied is not None else ()

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar each action that the request bars, for the reason that it gives."""
        supplied = moment.context.supplied
        if supplied is not None and supplied.barred:
            places = {name: index for index, name in enumerate(supplied.actions) if index}
            for name, why in supplied.barred.items():
                if name in places:
                    yield Bar((places[name],), why)
