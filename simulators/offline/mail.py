"""What has happened and is on its way to the company: heard in the order in which it arrives."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Letters(NamedTuple):
    """H things that happened; each reaches the company once.

    Args:
        reached: (H,) when it does, microseconds since 1970.
        at: (H,) when it happened.
        word: (H,) positions among the market's words.
        decision: (H,) positions among all decisions.
        customer: (H,) positions.
        round_index: (H,) which of the customer's decisions.
        action: (H,) positions of what was drawn.
        decided: (H,) instant of the decision, microseconds since 1970.
        sent: (H,) when its contact is sent; of no meaning for `none`.
        taught: (H,) number of the decision with the teacher, -1 if it does not teach.
    """

    reached: Ints
    at: Ints
    word: Ints
    decision: Ints
    customer: Ints
    round_index: Ints
    action: Ints
    decided: Ints
    sent: Ints
    taught: Ints

    def take(self, rows: NDArray[np.intp]) -> Letters:
        """Return some of them."""
        return Letters(*(part[rows] for part in self))


def no_letters() -> Letters:
    """Return nothing."""
    return Letters(*(np.empty(0, dtype=np.int64) for _ in Letters._fields))


class Mail:
    """Letters that wait; of one instant, what was sent first arrives first."""

    def __init__(self) -> None:
        self._waiting = no_letters()
        self._earliest = np.iinfo(np.int64).max

    def send(self, letters: Letters) -> None:
        """Add letters."""
        pairs = zip(self._waiting, letters, strict=True)
        self._waiting = Letters(*(np.concatenate(pair) for pair in pairs))
        if letters.reached.size:
            self._earliest = min(self._earliest, int(letters.reached.min()))

    def arrived(self, before: int) -> Letters:
        """Take out what arrives before an instant (microseconds since 1970), in order."""
        if self._earliest >= before:
            return no_letters()
        reached = self._waiting.reached
        (here,) = np.nonzero(reached < before)
        found = self._waiting.take(here[np.argsort(reached[here], kind="stable")])
        self._waiting = self._waiting.take(np.flatnonzero(reached >= before))
        left = self._waiting.reached
        self._earliest = int(left.min()) if left.size else np.iinfo(np.int64).max
        return found

    @property
    def last(self) -> int | None:
        """When the last one arrives, None if there is none."""
        waiting = self._waiting.reached
        return int(waiting.max()) if waiting.size else None
