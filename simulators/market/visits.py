"""Visits: rounds in which a customer comes by, and a slot of the company's own is to be filled."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, softmax

from agents.spec import Workspace
from agents.tabular.columns import Column
from simulators.market.chance import Floats, Ints, Luck, uniforms
from simulators.market.fields import Draws
from simulators.market.spec import VisitSpec


class Visits:
    """Which slot is to be filled, by customer and round; nothing that is done changes it.

    P(visit) = logistic(weights x traits), and of the slots one by a multinomial logit.

    Args:
        spec: of the world; None: nobody comes by.
        workspace: whose slots there are; those that it does not have are never visited.
        draws: of the customers, with their traits.
        seed: of the world.

    Attributes:
        words: empty, then the slots.
    """

    def __init__(
        self, spec: VisitSpec | None, workspace: Workspace, draws: Draws, seed: int
    ) -> None:
        self._seed = seed
        there = {slot for channel in workspace.channels.values() for slot in channel.placements}
        slots = {} if spec is None else {n: w for n, w in spec.slots.items() if n in there}
        self.words = ("", *slots)
        self._below: Floats = np.ones((draws.count, 0))  # (N, S): up to each word, the last is 1
        if spec is not None and slots:
            visit = expit(draws.weighted(spec.of))  # (N,)
            lean = np.stack([draws.weighted(weights) for weights in slots.values()], axis=1)
            shares = visit[:, None] * softmax(lean, axis=1)  # (N, S)
            before = np.cumsum(shares[:, :-1], axis=1)
            self._below = (1.0 - visit)[:, None] + np.pad(before, ((0, 0), (1, 0)))

    def slots(self, rows: Ints, rounds: Ints | int) -> Column:
        """Return the slot of each customer's round as a column of words, empty if none.

        Args:
            rows: (n,) customers.
            rounds: (n,) or one for all.
        """
        codes = np.zeros(rows.size, dtype=np.int64)
        if len(self.words) > 1:
            luck = uniforms(self._seed, Luck.VISIT, 0, rows, rounds, 1)  # (n, 1)
            codes = np.count_nonzero(luck >= self._below[rows], axis=1).astype(np.int64)
        return Column("word", codes, np.ones(rows.size, dtype=np.bool_), self.words)
