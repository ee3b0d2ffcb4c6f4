"""The reward model of MRDR: a ridge regression that looks hardest where an error costs most."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from experiments.estimators.mrdr import emphasis
from experiments.logs import LoggedDecisions
from experiments.reward_models.designs import Design, time_folds
from experiments.weighing import Weighed

Floats = NDArray[np.float64]

MOST_COLUMNS = 2_000
"""Of the model, whose fit costs their cube: a few seconds for so many."""


def fit_robust(
    log: LoggedDecisions,
    target: Floats,
    *,
    folds: int = 5,
    penalty: float = 10.0,
    exclude: Collection[str] = (),
) -> Floats:
    """Predict the reward of every action at every decision, from other blocks of time.

    It minimises the variance that DR would have for this target, as far as a linear model can,
    in place of the plain squared error.

    Args:
        log: decisions.
        target: (N, A) probabilities of the policy that is to be valued.
        folds: number of blocks of time, at least 2; fewer are used for fewer decisions.
        penalty: of the squared coefficients, in decisions; the intercept is free.
        exclude: features that shall not be used.

    Returns:
        (N, A) currency, for `Weighed.robust`.

    Raises:
        ValueError: fewer than two folds or decisions, or a penalty that is not above 0.
        LogError: the model would have more than `MOST_COLUMNS` columns.

    Source: Farajtabar, Chow and Ghavamzadeh, ICML 2018.
    """
    if penalty <= 0.0:
        raise ValueError(f"expected a penalty above 0, got {penalty:g}")
    weights = emphasis(Weighed(log, target))  # (N,)
    weights = weights / max(float(weights.mean()), 1e-12)
    weights = np.maximum(weights, 1e-6)  # or a fold could have nothing to learn from
    design = Design.of(log, exclude=exclude, crossed=True)
    _check_width(design)
    numbers = time_folds(log, min(folds, len(log)))
    blocks = [np.flatnonzero(numbers == fold) for fold in range(int(numbers.max()) + 1)]
    moments = [_moments(design, log, block, weights[block]) for block in blocks]
    predicted = np.empty(log.distribution.shape)  # (N, A)
    for fold, block in enumerate(blocks):
        others = moments[:fold] + moments[fold + 1 :]
        gram = np.sum([g for g, _ in others], axis=0)  # (P, P)
        cross = np.sum([c for _, c in others], axis=0)  # (P,)
        ridge = np.diag([0.0, *[penalty] * (len(cross) - 1)])  # (P, P)
        theta = np.asarray(np.linalg.solve(gram + ridge, cross))  # (P,)
        for action in range(len(log.actions)):
            column = np.full(len(block), action)
            predicted[block, action] = _columns(design, block, column) @ theta
    return predicted


def _check_width(design: Design) -> None:
    of_customers, of_actions = design.context.shape[1], design.actions.shape[1]
    width = 1 + of_customers + of_actions + of_customers * design.crossed.shape[1]
    if width > MOST_COLUMNS:
        raise LogError(
            f"mrdr: expected a model of at most {MOST_COLUMNS:,} columns, got {width:,}, for"
            f" {len(design.actions):,} actions and {of_customers} columns of customers; use dr"
        )


def _columns(design: Design, rows: NDArray[np.intp], action: NDArray[np.integer]) -> Floats:
    """Return the columns of a design behind an intercept; (M, P)."""
    return np.concatenate([np.ones((len(rows), 1)), design.rows(rows, action)], axis=1)


def _moments(
    design: Design, log: LoggedDecisions, rows: NDArray[np.intp], weights: Floats
) -> tuple[Floats, Floats]:
    """Return X'WX (P, P) and X'Wr (P,) of some decisions."""
    columns = _columns(design, rows, log.action[rows])  # (M, P)
    weighed = columns * weights[:, None]
    return np.asarray(weighed.T @ columns), np.asarray(weighed.T @ log.reward[rows])
