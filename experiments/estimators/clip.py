"""Clipped IPS and clipped DR: no weight counts for more than a limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.estimators.base import Pieces
from experiments.estimators.settings import checked, named
from experiments.weighing import Weighed

LIMITS = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0)
"""What `clip` and `cdr` choose from, after no limit at all."""


@dataclass(frozen=True)
class Clipped:
    """The mean of min(w, limit) r.

    What is cut off is lost: with rewards above 0 it is too low, however long the log.

    Args:
        limit: greatest weight, at least 1.

    Raises:
        ValueError: a limit below 1, by which even the logging policy would be undervalued.

    Source: Ionides, JCGS 2008; Bottou et al., JMLR 2013.
    """

    limit: float
    needs_model: bool = False
    biased: bool = True

    def __post_init__(self) -> None:
        checked("clip", "a limit of 1 or more", self.limit, least=1.0)

    @property
    def name(self) -> str:
        """Return the name with the limit."""
        return named("clip", self.limit)

    def pieces(self, rows: Weighed) -> Pieces:
        """Return min(w, limit) r."""
        return Pieces(np.minimum(rows.weights, self.limit) * rows.log.reward)


@dataclass(frozen=True)
class ClippedDoublyRobust:
    """The mean of sum_a target(a) q(a) + min(w, limit) (r - q(drawn)).

    What is cut off is left to the reward model. Made for learning policies, see
    `experiments.progressive`.

    Args:
        limit: greatest weight, at least 1.

    Raises:
        ValueError: a limit below 1.

    Source: Su et al., ICML 2020 ("pessimistic shrinkage").
    """

    limit: float
    needs_model: bool = True
    biased: bool = True

    def __post_init__(self) -> None:
        checked("cdr", "a limit of 1 or more", self.limit, least=1.0)

    @property
    def name(self) -> str:
        """Return the name with the limit."""
        return named("cdr", self.limit)

    def pieces(self, rows: Weighed) -> Pieces:
        """Return sum_a target(a) q(a) + min(w, limit) (r - q(drawn))."""
        shrunk = np.minimum(rows.weights, self.limit)  # (N,)
        return Pieces(rows.direct + shrunk * (rows.log.reward - rows.predicted))
