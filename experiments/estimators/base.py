"""The contract of an estimator of a policy's value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from experiments.weighing import Weighed

ENOUGH_CONVERSIONS = 10.0
"""Below so many effective conversions no interval that was tried covers the truth reliably."""

Floats = NDArray[np.float64]


class Pieces(NamedTuple):
    """What one decision adds to an estimate: V = mean(plain) + mean(over) / mean(under).

    All estimators here have this form, so that sums over decisions are all that is ever kept, and
    the standard error is worked out once, in `experiments.tally`.

    Args:
        plain: (N,) currency.
        over, under: (N,) numerator and denominator of a ratio; None if there is none.
        stands: (N,) how many decisions each stands for in a thinned log; None if for one. The
            other pieces are multiplied by it, and V = sum(plain) / sum(stands) + ...
    """

    plain: Floats
    over: Floats | None = None
    under: Floats | None = None
    stands: Floats | None = None

    def standing_for(self, stands: Floats | None) -> Pieces:
        """Let each decision stand for so many, (N,); None changes nothing."""
        if stands is None:
            return self
        over, under = (None if part is None else part * stands for part in self[1:3])
        return Pieces(self.plain * stands, over, under, stands)

    def where(self, rows: NDArray[np.intp]) -> Pieces:
        """Keep some decisions, (M,)."""
        over, under, stands = (None if part is None else part[rows] for part in self[1:])
        return Pieces(self.plain[rows], over, under, stands)


class Estimator(Protocol):
    """Values a target policy from decisions that another policy made."""

    @property
    def name(self) -> str:
        """Short, as on the command line; settings behind an equals sign, such as `switch=20`."""

    @property
    def needs_model(self) -> bool:
        """Whether it looks at a reward model's predictions."""

    @property
    def biased(self) -> bool:
        """Whether it may stay away from the truth however long the log is.

        Such an estimator shows how far an answer hangs on a few weights or on a model; it is never
        the headline.
        """

    def pieces(self, rows: Weighed, /) -> Pieces:
        """Return what each decision adds; a decision's pieces depend on its own row alone."""


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
