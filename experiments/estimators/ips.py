"""IPS: inverse propensity scoring."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from experiments.logs import LoggedDecisions
from experiments.weights import importance_weights


class InversePropensity:
    """The mean of w r. Unbiased wherever the log supports the target; noisy.

    Source: Horvitz and Thompson (1952); Li et al., WSDM 2011.
    """

    name: ClassVar[str] = "ips"
    needs_model: ClassVar[bool] = False

    def terms(
        self,
        log: LoggedDecisions,
        target: NDArray[np.float64],
        _q_hat: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return w r; (N,) currency."""
        return np.asarray(importance_weights(log, target) * log.reward)  # (N,)
