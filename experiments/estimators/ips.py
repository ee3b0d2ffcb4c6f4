"""IPS: inverse propensity scoring."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.estimators.base import Pieces
from experiments.weighing import Weighed


@dataclass(frozen=True)
class InversePropensity:
    """The mean of w r. Unbiased wherever the log supports the target; noisy.

    Source: Horvitz and Thompson (1952); Li et al., WSDM 2011.
    """

    name: str = "ips"
    needs_model: bool = False
    biased: bool = False

    def pieces(self, rows: Weighed) -> Pieces:
        """Return w r."""
        return Pieces(rows.weights * rows.log.reward)
