"""Switch-DR: doubly robust where weights are small, the reward model alone where they are great."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.estimators.base import Pieces
from experiments.estimators.settings import checked, named
from experiments.weighing import Weighed

LIMITS = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0)
"""What `switch` chooses from, after no limit at all."""


@dataclass(frozen=True)
class Switch:
    """The mean of sum_a target(a) q(a) + 1[w <= limit] w (r - q(drawn)).

    Carries the model's bias wherever weights are great, which is where the target differs most
    from the log.

    Args:
        limit: greatest weight of a decision whose reward is looked at, above 0.

    Raises:
        ValueError: a limit that is not above 0.

    Source: Wang, Agarwal and Dudik, ICML 2017.
    """

    limit: float
    needs_model: bool = True
    biased: bool = True

    def __post_init__(self) -> None:
        checked("switch", "a limit above 0", self.limit, least=5e-324)

    @property
    def name(self) -> str:
        """Return the name with the limit."""
        return named("switch", self.limit)

    def pieces(self, rows: Weighed) -> Pieces:
        """Return sum_a target(a) q(a) + 1[w <= limit] w (r - q(drawn))."""
        kept = (rows.weights <= self.limit) * rows.weights  # (N,)
        return Pieces(rows.direct + kept * (rows.log.reward - rows.predicted))
