"""Decisions beside a target: what every estimator looks at, of a whole log or a piece of one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from experiments.logs import LoggedDecisions
from experiments.weights import importance_weights

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Weighed:
    """A log, the policy that is valued on it, and what a model predicts.

    Args:
        log: N decisions among A actions.
        target: (N, A) probabilities of the policy that is valued; rows sum to 1.
        q_hat: (N, A) predicted reward of each action in currency; None if no model was asked for.
        mixture: (N,) probability of the drawn action under the mixture of all policies that wrote
            the log, for balanced weights; None if it is not known.
        robust: (N, A) rewards predicted by a model that was fitted for this target with MRDR's
            emphasis; None if none was asked for.
    """

    log: LoggedDecisions
    target: Floats
    q_hat: Floats | None = None
    mixture: Floats | None = None
    robust: Floats | None = None

    @cached_property
    def weights(self) -> Floats:
        """Importance weights w = target / propensity of what was drawn; (N,)."""
        return importance_weights(self.log, self.target)

    @cached_property
    def counted(self) -> Floats:
        """Importance weights, each as often as its decision counts in a thinned log; (N,)."""
        return self.weights if self.log.stands is None else self.weights * self.log.stands

    @cached_property
    def direct(self) -> Floats:
        """What the model expects of the target: sum over a of target(a) q(a); (N,) currency."""
        return np.asarray(np.einsum("na,na->n", self.target, self.model))

    @cached_property
    def predicted(self) -> Floats:
        """What the model expects of what was drawn; (N,) currency."""
        return self.drawn(self.model)

    @property
    def model(self) -> Floats:
        """The model's predictions; (N, A) currency.

        Raises:
            ValueError: no model was asked for.
        """
        if self.q_hat is None:
            raise ValueError("expected the predictions of a reward model as q_hat, got none")
        return self.q_hat

    def where(self, kept: NDArray[np.bool_]) -> Weighed:
        """Keep the rows where a boolean (N,) array is true."""
        known = (self.q_hat, self.mixture, self.robust)
        parts = (None if part is None else part[kept] for part in known)
        return Weighed(self.log.where(kept), self.target[kept], *parts)

    def drawn(self, matrix: Floats) -> Floats:
        """Return the column of the drawn action in every row of (N, A); (N,)."""
        return np.asarray(matrix[np.arange(len(self.log)), self.log.action])
