"""SNIPS: self-normalised inverse propensity scoring."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from experiments.logs import LoggedDecisions
from experiments.weights import importance_weights


class SelfNormalised:
    """V = sum w r / sum w. Adding a constant to every reward adds exactly that to the estimate.

    A ratio of two means has the linear approximation V + w (r - V) / mean w; its terms have mean V
    and the spread of the delta-method standard error.

    Source: Swaminathan and Joachims, NIPS 2015.
    """

    name: ClassVar[str] = "snips"
    needs_model: ClassVar[bool] = False

    def terms(
        self,
        log: LoggedDecisions,
        target: NDArray[np.float64],
        _q_hat: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return V + w (r - V) / mean w; (N,) currency.

        Raises:
            LogError: the target never chooses what was drawn, so there is nothing to normalise.
        """
        weights = importance_weights(log, target)  # (N,)
        total = float(weights.sum())
        if total <= 0.0:
            raise LogError(
                "expected some decisions whose drawn action the target policy could choose too;"
                " got none, so its value cannot be estimated from this log"
            )
        value = float(weights @ log.reward) / total
        return np.asarray(value + weights * (log.reward - value) * (len(log) / total))  # (N,)
