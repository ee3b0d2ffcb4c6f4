"""Reward models of any kind that scikit-learn has, cross-fitted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier
from sklearn.model_selection import KFold

from experiments.logs import LoggedDecisions
from experiments.reward_models.designs import Design, check_count

Floats = NDArray[np.float64]
_MOST_CLASSES = 20


class Model(Protocol):
    """What is asked of a model: scikit-learn's own, or anything like them."""

    def fit(self, x: Floats, y: Floats, /) -> object:
        """Learn from M rows; with `sample_weight=` too, if weights are asked for."""


def random_folds(log: LoggedDecisions, count: int, seed: int) -> NDArray[np.intp]:
    """Number folds at random, as scikit-learn's shuffled `KFold` does; (N,) below `count`.

    Only for logs whose policy did not learn while it wrote them; see `designs.time_folds`.

    Raises:
        ValueError: fewer than two folds, or more than decisions.
    """
    check_count(count, len(log))
    numbers = np.empty(len(log), dtype=np.intp)
    splits = KFold(count, shuffle=True, random_state=seed).split(np.zeros((len(log), 1)))
    for fold, (_, held_out) in enumerate(splits):
        numbers[held_out] = fold
    return numbers


def fit_model(
    log: LoggedDecisions,
    model: Model,
    folds: NDArray[np.intp],
    design: Design,
    *,
    weights: Floats | None = None,
) -> Floats:
    """Predict the reward of every action at every decision, by models of the other folds.

    Args:
        log: decisions.
        model: a regressor; or a classifier with `predict_proba`, whose classes are the distinct
            rewards, at most 20 of them. It is cloned, never fitted itself.
        folds: (N,) fold of each decision, see `designs.time_folds`.
        design: the columns it sees.
        weights: (N,) >= 0, how much each decision counts in fitting; None counts all the same.

    Returns:
        (N, A) currency, for `Weighed.q_hat` or the argument of `evaluate`.

    Raises:
        ValueError: one fold only, or a classifier for a reward with too many values.
    """
    if len(set(folds.tolist())) < 2:
        raise ValueError("expected at least 2 folds, got 1; a model must not judge what it learned")
    levels = np.unique(log.reward)
    if is_classifier(model) and len(levels) > _MOST_CLASSES:
        raise ValueError(
            f"expected a regressor for a reward of {len(levels)} distinct values, got the"
            f" classifier {type(model).__name__}, which can tell at most {_MOST_CLASSES} apart"
        )
    predicted = np.empty(log.distribution.shape)  # (N, A)
    for fold in np.unique(folds):
        others, own = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        weighed = None if weights is None else weights[others]
        answer = _learn(model, design.rows(others, log.action[others]), log.reward[others], weighed)
        for action in range(len(log.actions)):
            column = np.full(len(own), action)
            predicted[own, action] = answer(design.rows(own, column))
    return predicted


def _learn(
    model: Model, x: Floats, reward: Floats, weights: Floats | None
) -> Callable[[Floats], Floats]:
    """Fit a copy of a model to M rows; returns what predicts the reward of others."""
    settings = {} if weights is None else {"sample_weight": weights}
    if not is_classifier(model):
        return partial(_regress, clone(model).fit(x, reward, **settings).predict)
    levels, codes = np.unique(reward, return_inverse=True)
    if len(levels) == 1:  # no classifier learns from one class
        return lambda others: np.full(len(others), levels[0])
    fitted = clone(model).fit(x, codes, **settings)
    return partial(_classify, fitted.predict_proba, levels[fitted.classes_])


def _regress(predict: Callable[[Floats], Floats], x: Floats) -> Floats:
    return np.asarray(predict(x), dtype=np.float64)


def _classify(predict: Callable[[Floats], Floats], rewards: Floats, x: Floats) -> Floats:
    return np.asarray(predict(x) @ rewards, dtype=np.float64)
