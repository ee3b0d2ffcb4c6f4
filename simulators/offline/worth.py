"""For which outcomes an event counts, and what that is worth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.spec import Agent, Amount
from agents.tabular.columns import span_of
from simulators.offline.mail import Ints, Letters
from simulators.reports import reports_of


class Counting(NamedTuple):
    """One outcome of an agent for which an event counts.

    Args:
        word: position of the event's word.
        outcome: position among the agent's outcomes.
        window: microseconds from the decision within which it counts.
        value: currency, its weight included.
    """

    word: int
    outcome: int
    window: int
    value: float


class Worth:
    """What events count for; a decision hears of each word once.

    Args:
        agent: whose outcomes they are.
        words: that events are heard by.

    Attributes:
        counting: all pairs of word and outcome, by word and then by the outcome's name.
    """

    def __init__(self, agent: Agent, words: tuple[str, ...]) -> None:
        self.counting = tuple(_counting(agent, words))

    def which(self, letters: Letters) -> NDArray[np.bool_]:
        """Say for which pairs letters count; (H, pairs)."""
        waited = (letters.at - letters.decided)[:, None]  # (H, 1)
        words = np.array([each.word for each in self.counting], dtype=np.int64)
        windows: Ints = np.array([each.window for each in self.counting], dtype=np.int64)
        inside = (letters.word[:, None] == words) & (waited >= 0) & (waited < windows)
        return np.asarray(inside)

    def of(self, letters: Letters) -> NDArray[np.float64]:
        """Return what letters add to the rewards of their decisions, in currency; (H,)."""
        values = np.array([each.value for each in self.counting], dtype=np.float64)
        return np.asarray(self.which(letters) @ values, dtype=np.float64)


def _counting(agent: Agent, words: tuple[str, ...]) -> list[Counting]:
    found, reports, names = [], reports_of(agent), list(agent.outcomes)
    for place, word in enumerate(words):
        for name in sorted(names):
            outcome = agent.outcomes[name]
            if (outcome.event or name) == word:
                amount = outcome.value
                if isinstance(amount, Amount):
                    amount = reports[word].properties[amount.property]
                window, value = span_of(outcome.window), outcome.weight * amount
                found.append(Counting(place, names.index(name), window, value))
    return found
