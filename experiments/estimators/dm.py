"""DM: the direct method."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from experiments.logs import LoggedDecisions


class DirectMethod:
    """The mean of sum_a target(a) q(a). Steady, but as biased as the reward model.

    Its standard error knows nothing of the model's error; read it beside the others.

    Source: Dudik et al., ICML 2011.
    """

    name: ClassVar[str] = "dm"
    needs_model: ClassVar[bool] = True

    def terms(
        self,
        _log: LoggedDecisions,
        target: NDArray[np.float64],
        q_hat: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return sum_a target(a) q(a); (N,) currency."""
        return np.asarray(np.sum(target * q_hat, axis=1))  # (N,)
