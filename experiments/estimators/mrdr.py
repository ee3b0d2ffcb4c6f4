"""MRDR: doubly robust, with a reward model that was fitted to make its variance small."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from experiments.estimators.base import Pieces
from experiments.weighing import Weighed


@dataclass(frozen=True)
class MoreRobust:
    """DR with `Weighed.robust` in place of the usual model's predictions.

    That model is fitted for the one target it is asked about, and looks hardest where an error
    would cost most; see `emphasis` and `reward_models.robust.fit_robust`. Unbiased as DR is.

    Source: Farajtabar, Chow and Ghavamzadeh, ICML 2018.
    """

    name: str = "mrdr"
    needs_model: bool = False
    biased: bool = False

    def pieces(self, rows: Weighed) -> Pieces:
        """Return sum_a target(a) q(a) + w (r - q(drawn)).

        Raises:
            LogError: there is no such model, as where a log is streamed.
        """
        if rows.robust is None:
            raise LogError(
                "mrdr: expected a reward model that was fitted for this target, got none; it is"
                " only for logs that are evaluated in memory, use dr for others"
            )
        direct = np.einsum("na,na->n", rows.target, rows.robust)  # (N,)
        return Pieces(direct + rows.weights * (rows.log.reward - rows.drawn(rows.robust)))


def emphasis(rows: Weighed) -> NDArray[np.float64]:
    """Return how much each decision counts in fitting the model: w (1 - p) / p; (N,) >= 0."""
    return np.asarray(rows.weights * (1.0 - rows.log.propensity) / rows.log.propensity)
