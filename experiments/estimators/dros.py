"""DRos: doubly robust with optimistic shrinkage."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.estimators.base import Pieces
from experiments.estimators.settings import checked, named
from experiments.weighing import Weighed

SCALES = (1e5, 1e4, 1e3, 1e2, 1e1)
"""What `dros` chooses from, after no shrinkage at all."""


@dataclass(frozen=True)
class OptimisticShrinkage:
    """The mean of sum_a target(a) q(a) + u (r - q(drawn)), u = scale w / (w^2 + scale).

    Weights far below the root of the scale stay, those far above it fade, and what they would have
    said is left to the reward model.

    Args:
        scale: the square of the weight that is halved, above 0; 0 would be DM, infinity DR.

    Raises:
        ValueError: a scale that is not above 0.

    Source: Su, Dimakopoulou, Krishnamurthy and Dudik, ICML 2020.
    """

    scale: float
    needs_model: bool = True
    biased: bool = True

    def __post_init__(self) -> None:
        checked("dros", "a scale above 0", self.scale, least=5e-324)

    @property
    def name(self) -> str:
        """Return the name with the scale."""
        return named("dros", self.scale)

    def pieces(self, rows: Weighed) -> Pieces:
        """Return sum_a target(a) q(a) + u (r - q(drawn))."""
        shrunk = rows.weights / (rows.weights**2 / self.scale + 1.0)  # (N,)
        return Pieces(rows.direct + shrunk * (rows.log.reward - rows.predicted))
