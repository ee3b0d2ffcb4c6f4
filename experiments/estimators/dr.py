"""DR: doubly robust."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.estimators.base import Pieces
from experiments.weighing import Weighed


@dataclass(frozen=True)
class DoublyRobust:
    """The mean of sum_a target(a) q(a) + w (r - q(drawn)).

    Unbiased with exact propensities whatever the model, if the model of a decision was fitted on
    others (`reward_models.cross_fit`); less noisy than IPS where the model is good.

    Source: Dudik et al., ICML 2011; cross-fitting: Chernozhukov et al., Econometrics Journal 2018.
    """

    name: str = "dr"
    needs_model: bool = True
    biased: bool = False

    def pieces(self, rows: Weighed) -> Pieces:
        """Return sum_a target(a) q(a) + w (r - q(drawn))."""
        return Pieces(rows.direct + rows.weights * (rows.log.reward - rows.predicted))
