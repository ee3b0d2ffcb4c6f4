"""The same question row by row, as vw-estimators answers it, and in arrays."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from experiments.estimators import Pieces
from experiments.intervals import INTERVALS, Bounds, Sample
from experiments.tally import Tally

_LEVEL = 0.95

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """What either side is given: (N,) probabilities of what was drawn, rewards and clusters."""

    logged: Floats
    target: Floats
    reward: Floats
    clusters: NDArray[np.intp]
    size: int

    @classmethod
    def make(cls, count: int, *, seed: int = 1) -> Rows:
        """Make rows of which 3% convert; four decisions a customer."""
        rng = np.random.default_rng(seed)
        reward = np.where(rng.random(count) < 0.03, 80.0, 0.0)
        size = count // 4 + 1
        logged, target = rng.uniform(0.02, 0.5, count), rng.uniform(0.0, 0.1, count)
        return cls(logged, target, reward, rng.integers(0, size, count), size)


def in_arrays(rows: Rows) -> tuple[float, Bounds]:
    """Return SNIPS and its interval, errors clustered by customer."""
    weights = rows.target / rows.logged
    pieces = Pieces(np.zeros_like(weights), weights * rows.reward, weights)
    tally = Tally.of(pieces, rows.clusters, rows.size)
    total = float(weights.sum())
    sample = Sample(
        n=tally.n, value=tally.value, stderr=tally.stderr, design_effect=tally.design_effect,
        ess=total**2 / float(weights @ weights), gain=tally.value, loss=0.0,
        reward_range=Bounds(0.0, float(rows.reward.max())), weight_limit=float(weights.max()),
    )  # fmt: skip
    return tally.value, INTERVALS["envelope"].bounds(sample, _LEVEL)


def one_by_one(rows: Rows) -> tuple[float, Bounds]:
    """Return SNIPS and an interval by vw-estimators, which takes decisions as independent.

    Raises:
        ModuleNotFoundError: vw-estimators is not there.
    """
    estimate, interval = _module("snips").Estimator(), _module("gaussian").Interval()
    each = zip(rows.logged.tolist(), rows.reward.tolist(), rows.target.tolist(), strict=True)
    for logged, reward, target in each:
        estimate.add_example(logged, reward, target)
        interval.add_example(logged, reward, target)
    return float(estimate.get()), Bounds(*interval.get(1.0 - _LEVEL))


def installed() -> bool:
    """Whether vw-estimators is there."""
    try:
        _module("snips")
    except ModuleNotFoundError:
        return False
    return True


def rate(side: Callable[[Rows], object], rows: Rows, rounds: int) -> float:
    """Return the rows per second of CPU, the best of some rounds."""
    best = np.inf
    for _ in range(rounds):
        start = time.process_time()
        side(rows)
        best = min(best, time.process_time() - start)
    return len(rows.logged) / best


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"estimators.bandits.{name}")
