"""SNIPS: self-normalised inverse propensity scoring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.estimators.base import Pieces
from experiments.weighing import Weighed


@dataclass(frozen=True)
class SelfNormalised:
    """V = sum w r / sum w. Adding a constant to every reward adds exactly that to the estimate.

    Source: Swaminathan and Joachims, NIPS 2015.
    """

    name: str = "snips"
    needs_model: bool = False
    biased: bool = False

    def pieces(self, rows: Weighed) -> Pieces:
        """Return w r over w."""
        weights = rows.weights  # (N,)
        return Pieces(np.zeros_like(weights), weights * rows.log.reward, weights)
