"""Placement: an on-site channel is used where a slot is to be filled, other channels elsewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from agents.actions import Action
from agents.guardrails.base import Bar, Indices, Moment, Plain, Rulebook

_SHOWN = 40  # a slot that no channel has may be any text


class Placement(Plain):
    """Bars what does not go where a request asks for something to be shown.

    With a placement asked for, only actions of channels that have it are left, of offers that fit
    it; with none, only actions of channels without placements.
    """

    name = "placement"

    def __init__(self, book: Rulebook) -> None:
        self.actions: Indices = book.every()
        known = {
            slot for channel in book.workspace.channels.values() for slot in channel.placements
        }
        self._bars = {asked: tuple(_bars(book, asked)) for asked in ("", *sorted(known))}

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar by the placement that the request asks for."""
        asked = moment.context.placement
        found = self._bars.get(asked)
        if found is None:
            yield Bar(self.actions, f"no channel has a placement {asked[:_SHOWN]!r}")
        else:
            yield from found


def _unfit(book: Rulebook, action: Action, asked: str) -> str:
    """Name the first offer, of a bundle also those it includes, that is for other slots only."""
    offers = book.agent.offers
    sent = (action.offer, *action.includes)
    return next((o for o in sent if offers[o].placements and asked not in offers[o].placements), "")


def _bars(book: Rulebook, asked: str) -> Iterator[Bar]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index in book.every():
        action = book.actions[index]
        placements = book.workspace.channels[action.channel].placements
        unfit = _unfit(book, action, asked)
        if asked not in (placements or ("",)):
            found = (
                f"has no placement {asked!r}" if asked else "is for placements, and none is asked"
            )
            groups[f"{action.channel} {found}"].append(index)
        elif asked and unfit:
            groups[f"{unfit} does not fit {asked!r}"].append(index)
    for reason, indices in groups.items():
        yield Bar(tuple(indices), reason)
