"""Consent and opting out: what the customer has allowed, and what the customer has refused."""

from __future__ import annotations

from collections.abc import Iterator

from agents.guardrails.base import Bar, Indices, Moment, Plain, Rulebook


class Consent(Plain):
    """Bars every action on a channel whose consent is refused or unknown."""

    name = "consent"

    def __init__(self, book: Rulebook) -> None:
        self.channels = tuple(
            (field, channel, indices)
            for channel, indices in book.group("channel").items()
            if (field := book.workspace.channels[channel].consent) is not None
        )
        self.actions: Indices = tuple(i for _, _, indices in self.channels for i in indices)

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar channel by channel."""
        features = moment.context.features
        for field, channel, indices in self.channels:
            given = features.get(field)
            if given is not True:
                state = "is not given" if given is False else "is unknown"
                yield Bar(indices, f"customer.{field} for {channel} {state}")


class OptOut(Plain):
    """Bars everything for who has opted out of all, and a channel for who has opted out of it.

    Unknown counts as opted out.
    """

    name = "opt_out"

    def __init__(self, book: Rulebook) -> None:
        every, channels = book.workspace.opt_out, book.workspace.channels
        parts: list[tuple[str, str, Indices]] = []
        if every is not None:
            parts.append((every, f"customer.{every}", book.every()))
        for channel, indices in book.group("channel").items():
            field = channels[channel].opt_out
            if field is not None:
                parts.append((field, f"customer.{field} for {channel}", indices))
        self.parts = tuple(parts)
        self.actions: Indices = tuple(sorted({i for *_, indices in parts for i in indices}))

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar everything first, then channel by channel."""
        features = moment.context.features
        for field, label, indices in self.parts:
            opted_out = features.get(field)
            if opted_out is not False:
                state = "is true" if opted_out is True else "is unknown"
                yield Bar(indices, f"{label} {state}")
