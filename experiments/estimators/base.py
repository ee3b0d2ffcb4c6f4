"""The contract of an estimator of a policy's value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from experiments.logs import LoggedDecisions

ENOUGH_CONVERSIONS = 10.0
"""Below so many effective conversions no interval that was tried covers the truth reliably."""


class Estimator(Protocol):
    """Values a target policy from decisions that another policy made.

    An estimator answers one term per decision. The mean of the terms is the estimate, and their
    spread is its standard error; an estimator that is no plain mean answers with the terms of its
    linear approximation (delta method), so that both stay true.
    """

    name: ClassVar[str]
    needs_model: ClassVar[bool]

    def terms(
        self, log: LoggedDecisions, target: NDArray[np.float64], q_hat: NDArray[np.float64], /
    ) -> NDArray[np.float64]:
        """Return the (N,) terms, in currency per decision.

        Args:
            log: decisions that another policy made.
            target: (N, A) probabilities of the policy that is valued; rows sum to 1.
            q_hat: (N, A) predicted reward of each action in currency; not looked at unless
                `needs_model`.
        """


@dataclass(frozen=True, slots=True)
class Estimate:
    """The value of a policy, by one estimator, with an interval.

    Args:
        estimator: name of the estimator.
        value: currency per decision.
        stderr: standard error; customers, not decisions, are taken as independent.
        low, high: bounds of the interval at `level`, which is wider than `stderr` alone says.
        ess: effective sample size, at most n.
        effective_conversions: see `experiments.weights`.
        n: decisions.
        level: nominal coverage in (0, 1).
    """

    estimator: str
    value: float
    stderr: float
    low: float
    high: float
    ess: float
    effective_conversions: float
    n: int
    level: float

    @property
    def enough(self) -> bool:
        """Whether there are enough effective conversions for the interval to mean anything."""
        return self.effective_conversions >= ENOUGH_CONVERSIONS
