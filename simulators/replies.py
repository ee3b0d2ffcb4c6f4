"""Replies: events without a value that follow a contact, such as an opened or a bounced email."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from agents.spec import Workspace
from simulators.schema import name_key
from simulators.streams import Purpose, stream

_SHARES = {"response": 0.25, "rejection": 0.05, "failure": 0.02, None: 0.10}
_SOONEST = timedelta(minutes=1)
_LATEST = timedelta(days=1)


class Replies:
    """Which events of a workspace follow a contact, and when.

    Each event follows a contact with the probability of its signal: 25% for a response, 5% for a
    rejection, 2% for a failure, 10% for any other; after a minute to a day, evenly on the
    logarithmic scale. What failed to arrive is followed by failures alone. Replies depend neither
    on the action nor on its outcomes: they carry no value, and guardrails alone hear of them.

    Args:
        workspace: declares the events.
        outcomes: words that are left out, since the market has a truth of its own for them.
        seed: of the world.
    """

    def __init__(self, workspace: Workspace, *, outcomes: Collection[str], seed: int) -> None:
        self._seed = seed
        self._signals = {
            word: event.counts_as
            for word, event in workspace.events.items()
            if word not in outcomes
        }

    def after(self, customer: int, round_index: int, sent: datetime) -> list[tuple[str, datetime]]:
        """Return what follows one contact, as (word, instant), by word as declared.

        Each word has luck of its own, so an event that is added changes no other one but by its
        failing.

        Args:
            customer: position in the world.
            round_index: of the customer's decisions.
            sent: when the message is sent (UTC).
        """
        found = []
        for word, signal in self._signals.items():
            draws = stream(self._seed, Purpose.REPLIES, customer, round_index, name_key(word))
            luck, when = draws.random(2).tolist()
            if luck < _SHARES[signal]:
                found.append((word, sent + _SOONEST * (_LATEST / _SOONEST) ** when))
        failed = [reply for reply in found if self._signals[reply[0]] == "failure"]
        return failed or found
