"""DM: the direct method."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.estimators.base import Pieces
from experiments.weighing import Weighed


@dataclass(frozen=True)
class DirectMethod:
    """The mean of sum_a target(a) q(a). Steady, but as biased as the reward model.

    Its standard error knows nothing of the model's error; read it beside the others.

    Source: Dudik et al., ICML 2011.
    """

    name: str = "dm"
    needs_model: bool = True
    biased: bool = True

    def pieces(self, rows: Weighed) -> Pieces:
        """Return sum_a target(a) q(a)."""
        return Pieces(rows.direct)
