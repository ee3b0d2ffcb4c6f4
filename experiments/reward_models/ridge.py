"""Reward models: what each action would have earned, predicted from other decisions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from experiments.logs import LoggedDecisions
from experiments.logs.places import by_place, class_names, drawn_class
from experiments.reward_models.action_columns import ActionColumns, Moments
from experiments.reward_models.designs import time_folds
from experiments.reward_models.features import context_matrix

FOLDS = 5
PENALTY = 10.0

_BLOCK = 1_024  # rows of which all actions are predicted at once, of which each lists a few

Floats = NDArray[np.float64]


def fit_others(
    moments: Sequence[Moments], columns: ActionColumns, penalty: float = PENALTY
) -> tuple[Floats, ...]:
    """For each block of time, fit a model on all others; see `ActionColumns.fit`."""
    fitted = []
    for fold in range(len(moments)):
        others = reduce(add, [*moments[:fold], *moments[fold + 1 :]])
        fitted.append(columns.fit(others, penalty))
    return tuple(fitted)


def predict(x: Floats, folds: NDArray[np.intp], models: Sequence[Floats]) -> Floats:
    """Predict the reward of every action by the model that has not seen a decision's block.

    Args:
        x: (n, D) contexts as columns.
        folds: (n,) number of each decision's block.
        models: (D + 1, A) for each block.

    Returns:
        (n, A) currency.
    """
    own = np.unique(folds).tolist()
    if len(own) == 1:
        return np.asarray(models[own[0]][0] + x @ models[own[0]][1:])
    q_hat = np.empty((len(x), models[0].shape[1]))  # (n, A)
    for fold in own:
        rows = folds == fold
        q_hat[rows] = models[fold][0] + x[rows] @ models[fold][1:]
    return q_hat


def predict_log(
    log: LoggedDecisions, x: Floats, folds: NDArray[np.intp], models: Sequence[Floats]
) -> Floats:
    """Predict the reward of each column of a log, an action or a place of a row's own list.

    Args:
        log: N decisions.
        x: (N, D) contexts as columns.
        folds: (N,) number of each decision's block.
        models: (D + 1, K) for each block, of actions or of their classes.

    Returns:
        (N, A) currency.
    """
    if log.listed is None:
        return predict(x, folds, models)
    found = np.empty(log.distribution.shape)  # (N, A)
    for start in range(0, len(log), _BLOCK):
        rows = slice(start, start + _BLOCK)
        found[rows] = by_place(log, predict(x[rows], folds[rows], models), rows)
    return found


def cross_fit(
    log: LoggedDecisions,
    *,
    folds: int = FOLDS,
    penalty: float = PENALTY,
    exclude: Collection[str] = (),
) -> NDArray[np.float64]:
    """Predict the reward of every action at every decision, by ridge regression on other folds.

    Folds are contiguous in time: on a log whose policy learned from earlier rows, random folds
    would carry what a decision led to into the model that judges it.

    Args:
        log: decisions, of at least two instants to be of any use.
        folds: number of blocks of time, at least 2; fewer are used for fewer decisions.
        penalty: of the squared coefficients, in decisions; the intercept is free.
        exclude: features that shall not be used.

    Returns:
        (N, A) currency; the same log gives the same numbers.

    Raises:
        ValueError: fewer than two folds or decisions, or a penalty that is not above 0.
    """
    if min(folds, len(log)) < 2 or penalty <= 0.0:
        raise ValueError(
            "expected at least 2 folds, 2 decisions and a penalty above 0;"
            f" got {folds}, {len(log)} and {penalty:g}"
        )
    x = context_matrix(log, exclude=exclude)  # (N, D)
    numbers = time_folds(log, min(folds, len(log)))  # (N,)
    names = class_names(log.actions) if log.listed is not None else log.actions
    action, moments = drawn_class(log), []  # (N,)
    for fold in range(int(numbers.max()) + 1):
        rows = numbers == fold  # (N,)
        stands = None if log.stands is None else log.stands[rows]
        moments.append(Moments.of(x[rows], action[rows], log.reward[rows], len(names), stands))
    models = fit_others(moments, ActionColumns.of(names), penalty)
    return predict_log(log, x, numbers, models)
