"""Stock and capacity: how many of an offer there are, how many contacts a channel can carry."""

from __future__ import annotations

from collections.abc import Iterator

from agents.guardrails.base import Rulebook
from agents.guardrails.usage import Limit, usage_counter


def stocks(book: Rulebook) -> Iterator[Limit]:
    """Compile the stock of each offer; a bundle takes from the stock of what it includes too."""
    for name, offer in book.agent.offers.items():
        if offer.stock is None:
            continue
        takes = tuple(
            index
            for index in book.every()
            if book.actions[index].offer == name or name in book.actions[index].includes
        )
        counter = usage_counter(f"stock:{book.agent.agent}/{name}", book, takes, offer.stock.per)
        yield Limit("stock", f"stock of {name}", counter, offer.stock.max, book)


def capacities(book: Rulebook) -> Iterator[Limit]:
    """Compile the capacity of each channel, which all agents share."""
    for name, indices in book.group("channel").items():
        capacity = book.workspace.channels[name].capacity
        if capacity is not None:
            counter = usage_counter(f"capacity:{name}", book, indices, capacity.per)
            yield Limit("capacity", f"capacity of {name}", counter, capacity.max, book)
