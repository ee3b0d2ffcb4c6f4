"""Replies: events without a value that follow a contact, such as an opened or a bounced email."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import numpy as np

from agents.spec import Workspace
from agents.tabular.columns import instant_of, microseconds
from simulators.market.chance import Ints, Luck, uniforms
from simulators.schema import name_key

_SHARES = {"response": 0.25, "rejection": 0.05, "failure": 0.02, None: 0.10}
_SOONEST, _LATEST = 60e6, 86_400e6  # microseconds


class Replied(NamedTuple):
    """What follows many contacts.

    Args:
        row: (R,) which contact.
        word: (R,) positions among `Replies.words`.
        at: (R,) microseconds since 1970.
    """

    row: Ints
    word: Ints
    at: Ints


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

    @property
    def words(self) -> tuple[str, ...]:
        """The events that may follow, as declared."""
        return tuple(self._signals)

    def after(self, customer: int, round_index: int, sent: datetime) -> list[tuple[str, datetime]]:
        """Return what follows one contact, as (word, instant), by word as declared.

        Each word has luck of its own, so an event that is added changes no other one but by its
        failing.

        Args:
            customer: position in the world.
            round_index: of the customer's decisions.
            sent: when the message is sent (UTC).
        """
        one = (np.array([number]) for number in (customer, round_index, microseconds(sent)))
        found = self.after_many(*one)
        names = self.words
        pairs = zip(found.word.tolist(), found.at.tolist(), strict=True)
        return [(names[word], instant_of(at)) for word, at in pairs]

    def after_many(self, customers: Ints, rounds: Ints, sent: Ints) -> Replied:
        """Return what follows n contacts; the same for each as of one alone.

        Args:
            customers: (n,) positions.
            rounds: (n,) which of their decisions.
            sent: (n,) microseconds since 1970.
        """
        shape = len(self._signals), customers.size
        came, at = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.int64)
        failed = np.zeros(shape[1], dtype=np.bool_)
        for place, (word, signal) in enumerate(self._signals.items()):
            draws = uniforms(self._seed, Luck.REPLY, name_key(word), customers, rounds, 2)
            came[place] = draws[:, 0] < _SHARES[signal]
            wait = _SOONEST * (_LATEST / _SOONEST) ** draws[:, 1]  # microseconds
            at[place] = sent + np.rint(wait).astype(np.int64)
            if signal == "failure":
                failed |= came[place]
        failures = np.array([s == "failure" for s in self._signals.values()], dtype=np.bool_)
        came &= failures.reshape(-1, 1) | ~failed
        row, which = np.nonzero(came.T)
        return Replied(row, which, at[which, row])
