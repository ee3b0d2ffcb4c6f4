"""SNDR: doubly robust, self-normalised."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.estimators.base import Pieces
from experiments.weighing import Weighed


@dataclass(frozen=True)
class SelfNormalisedDoublyRobust:
    """V = mean of sum_a target(a) q(a) + sum w (r - q(drawn)) / sum w.

    A few great weights move it less than DR. Its bias vanishes as the log grows.

    Source: Thomas and Brunskill, ICML 2016.
    """

    name: str = "sndr"
    needs_model: bool = True
    biased: bool = False

    def pieces(self, rows: Weighed) -> Pieces:
        """Return sum_a target(a) q(a), and w (r - q(drawn)) over w."""
        weights = rows.weights  # (N,)
        return Pieces(rows.direct, weights * (rows.log.reward - rows.predicted), weights)
