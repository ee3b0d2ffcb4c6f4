"""DR: doubly robust."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from experiments.logs import LoggedDecisions
from experiments.weights import importance_weights


class DoublyRobust:
    """The mean of sum_a target(a) q(a) + w (r - q(drawn)).

    Unbiased with exact propensities whatever the model, if the model of a decision was fitted on
    others (`reward_models.cross_fit`); less noisy than IPS where the model is good.

    Source: Dudik et al., ICML 2011; cross-fitting: Chernozhukov et al., Econometrics Journal 2018.
    """

    name: ClassVar[str] = "dr"
    needs_model: ClassVar[bool] = True

    def terms(
        self, log: LoggedDecisions, target: NDArray[np.float64], q_hat: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return sum_a target(a) q(a) + w (r - q(drawn)); (N,) currency."""
        weights = importance_weights(log, target)  # (N,)
        predicted = q_hat[np.arange(len(log)), log.action]  # (N,)
        direct = np.sum(target * q_hat, axis=1)  # (N,)
        return np.asarray(direct + weights * (log.reward - predicted))  # (N,)
