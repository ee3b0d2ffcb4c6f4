"""Dates: an offer is sent from its first day to its last, both included."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date

from agents.guardrails.base import Bar, Indices, Moment, Plain, Rulebook
from agents.guardrails.usage import slots
from agents.spec import Offer
from agents.units import zone_info

Span = tuple[date, date, str, Indices]
"""First and last day, of which included offer (if one), and the actions that they bind."""


class Dates(Plain):
    """Bars what would be sent outside the days of its offer, or of an offer that it includes.

    The day is that of the sending instant in the workspace's zone.
    """

    name = "dates"

    def __init__(self, book: Rulebook) -> None:
        self._zone = zone_info(book.workspace.zone)
        spans: dict[tuple[str, str], list[Span]] = defaultdict(list)
        for start, end, offer, indices in _spans(book):
            for slot, group in slots(book, indices).items():
                spans[slot].append((start, end, offer, group))
        self._slots = tuple((slot, tuple(listed)) for slot, listed in spans.items())
        self.actions: Indices = tuple(
            sorted({i for _, listed in self._slots for *_, indices in listed for i in indices})
        )

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar what is not yet or no longer offered, by the day on which it would be sent."""
        for slot, spans in self._slots:
            send_at = moment.sends.get(slot)
            day = None if send_at is None else send_at.astimezone(self._zone).date()
            for start, end, offer, indices in spans:
                if day is None:
                    yield Bar(indices, "the sending instant is unknown")
                elif not start <= day <= end:
                    state = f"begins on {start}" if day < start else f"ended on {end}"
                    yield Bar(indices, f"{offer}{state}")


def _spans(book: Rulebook) -> Iterator[Span]:
    for name, indices in book.group("offer").items():
        offer = book.agent.offers[name]
        if _dated(offer):
            yield offer.start or date.min, offer.end or date.max, "", indices
        for included in offer.includes:
            child = book.agent.offers[included]
            if _dated(child):
                yield child.start or date.min, child.end or date.max, f"{included} ", indices


def _dated(offer: Offer) -> bool:
    return offer.start is not None or offer.end is not None
