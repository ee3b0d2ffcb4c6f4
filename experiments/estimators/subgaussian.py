"""Sub-Gaussian IPS and DR: weights bent towards 1, so that no tail is heavy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.estimators.base import Pieces
from experiments.estimators.settings import checked, named
from experiments.weighing import Weighed

BENDS = (1e-4, 1e-3, 0.003, 0.01, 0.03, 0.1, 0.3)
"""What `sgips` and `sgdr` choose from, after no bending at all."""


@dataclass(frozen=True)
class SubGaussian:
    """The mean of u r, u = w / (1 - bend + bend w).

    The harmonic mean of the weight and 1: it never exceeds 1 / bend, a weight of 1 stays 1, and
    deviations have a sub-Gaussian tail. With rewards above 0 it is too low if weights vary.

    Args:
        bend: in [0, 1]; 0 is IPS, 1 takes every weight for 1.

    Raises:
        ValueError: a bend outside [0, 1].

    Source: Metelli, Russo and Restelli, NeurIPS 2021 (s = -1).
    """

    bend: float
    needs_model: bool = False
    biased: bool = True

    def __post_init__(self) -> None:
        checked("sgips", "a number from 0 to 1", self.bend, least=0.0, most=1.0)

    @property
    def name(self) -> str:
        """Return the name with the bend."""
        return named("sgips", self.bend)

    def pieces(self, rows: Weighed) -> Pieces:
        """Return u r."""
        return Pieces(_bent(rows, self.bend) * rows.log.reward)


@dataclass(frozen=True)
class SubGaussianDoublyRobust:
    """The mean of sum_a target(a) q(a) + u (r - q(drawn)), u as in `SubGaussian`.

    Args:
        bend: in [0, 1]; 0 is DR.

    Raises:
        ValueError: a bend outside [0, 1].

    Source: Metelli, Russo and Restelli, NeurIPS 2021.
    """

    bend: float
    needs_model: bool = True
    biased: bool = True

    def __post_init__(self) -> None:
        checked("sgdr", "a number from 0 to 1", self.bend, least=0.0, most=1.0)

    @property
    def name(self) -> str:
        """Return the name with the bend."""
        return named("sgdr", self.bend)

    def pieces(self, rows: Weighed) -> Pieces:
        """Return sum_a target(a) q(a) + u (r - q(drawn))."""
        shrunk = _bent(rows, self.bend)  # (N,)
        return Pieces(rows.direct + shrunk * (rows.log.reward - rows.predicted))


def _bent(rows: Weighed, bend: float) -> NDArray[np.float64]:
    weights = rows.weights  # (N,)
    if bend == 1.0:
        return np.ones_like(weights)  # 0 / 0 where the weight is 0
    return np.asarray(weights / (1.0 - bend + bend * weights))
