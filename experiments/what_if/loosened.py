"""What loosening a rule would need: the log has never seen it, so models alone can guess."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from experiments.estimators import ENOUGH_CONVERSIONS
from experiments.intervals.base import normal_quantile
from experiments.what_if.models import Models
from experiments.what_if.rows import Flags, Rows

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2)
_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True, slots=True)
class Guess:
    """What one model expects of newly allowed actions, against the policy as logged.

    Args:
        model: its name.
        low, high: change of the value in currency per decision if the worst, or the best, of the
            newly allowed actions were always taken where there is one. No interval: the log cannot
            say how wrong the model is there.
    """

    model: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Exploration:
    """What it takes to find out by trying.

    Args:
        share: probability with which a newly allowed action is tried where there is one.
        decisions: how many decisions of the agent that takes.
        days: at the pace of the log; NaN if all were made at one instant.
    """

    share: float
    decisions: int
    days: float


@dataclass(frozen=True, slots=True)
class Loosened:
    """What can be said of a loosened rule. Its value is not identified.

    Args:
        decisions: that gain an action.
        share: of all.
        guesses: one a model.
        precision: half-width of the interval that exploration aims at, currency per decision.
        explorations: by share, rising.
    """

    decisions: int
    share: float
    guesses: tuple[Guess, ...]
    precision: float
    explorations: tuple[Exploration, ...]

    @property
    def low(self) -> float:
        """The least of all models."""
        return min(guess.low for guess in self.guesses)

    @property
    def high(self) -> float:
        """The greatest of all models."""
        return max(guess.high for guess in self.guesses)


def loosen(
    rows: Rows, freed: Flags, models: Models, *, precision: float, level: float = 0.95
) -> Loosened:
    """Say what loosening reaches, what models expect of it, and what trying it would take.

    With a share rho of decisions that gain an action, tried there with probability e, and the
    log's reward variance s^2, inverse weighting of the tried ones gives the value of taking it
    always with a variance of about rho s^2 / (e n). So a half-width h takes n = z^2 rho s^2 /
    (e h^2) decisions; and at least as many as bring 10 conversions among the tried.

    Args:
        rows: N decisions.
        freed: (N, A) actions that are allowed after the change and were not before.
        models: by name, see `models.predictions`.
        precision: h, currency per decision, above 0.
        level: nominal coverage of that interval.

    Raises:
        LogError: nothing is freed.
        ValueError: a precision that is not above 0.
    """
    if not precision > 0.0:
        raise ValueError(f"--precision: expected an amount above 0, got {precision:g}")
    reached = freed.any(axis=1)  # (N,)
    if not reached.any():
        raise LogError("expected a decision that gains an action, got none")
    guesses = tuple(_guess(name, q, rows, freed) for name, q in models.items())
    rho = float(reached.mean())
    least = normal_quantile(level) ** 2 * rho * float(np.var(rows.log.reward)) / precision**2
    rate = float(np.mean(rows.log.outcome_value != 0.0))
    explorations = tuple(_explore(rows, share, rho, rate, least) for share in SHARES)
    return Loosened(int(reached.sum()), rho, guesses, precision, explorations)


def _guess(name: str, q: NDArray[np.float64], rows: Rows, freed: Flags) -> Guess:
    reached = freed.any(axis=1)  # (N,)
    logged = np.einsum("na,na->n", rows.distribution, q)  # (N,)
    worst = np.where(freed, q, np.inf).min(axis=1)[reached] - logged[reached]
    best = np.where(freed, q, -np.inf).max(axis=1)[reached] - logged[reached]
    return Guess(name, float(worst.sum()) / len(rows), float(best.sum()) / len(rows))


def _explore(rows: Rows, share: float, rho: float, rate: float, least: float) -> Exploration:
    converting = ENOUGH_CONVERSIONS / (rho * share * rate) if rate > 0.0 else math.inf
    wanted = max(least / share, converting)
    if math.isinf(wanted):
        raise LogError(
            "expected conversions in the log, to say how much exploration would be needed; got none"
        )
    span = float((rows.log.at.max() - rows.log.at.min()) / _DAY)
    days = wanted * span / len(rows) if span > 0.0 else math.nan
    return Exploration(share, math.ceil(wanted), days)
