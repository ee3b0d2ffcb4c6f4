"""What models expect of every action, barred ones included: for what a log alone cannot tell."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

from experiments.logs.places import class_names, drawn_class
from experiments.revisions import hidden_features
from experiments.reward_models.action_columns import ActionColumns, Moments
from experiments.reward_models.designs import Design, time_folds
from experiments.reward_models.features import context_matrix
from experiments.reward_models.fitted import fit_model
from experiments.reward_models.ridge import predict_log
from experiments.what_if.rows import Rows

Floats = NDArray[np.float64]
Models = Mapping[str, Floats]

RIDGE, TREES, POLICY = "ridge", "trees", "policy"
_BLOCKS = 3
_PENALTY = 10.0  # decisions
_LEAF = 50  # decisions in a leaf of the trees; conversions are rare
_KINDS = 255  # the most that trees can tell apart in one column


def predictions(rows: Rows, q_hat: Floats) -> dict[str, Floats]:
    """Return the expected reward of each action by several models; (N, A) currency each.

    `ridge` and `trees` are cross-fitted by time on this log; `policy` is what the policy itself
    expected when it decided, if it said so of every action. None of them has seen a barred action
    tried where it was barred: they carry over what they saw elsewhere. Of supplied actions trees
    see the place in the caller's list and which one it is, of more than 255 the remainder of its
    number by that.

    Args:
        rows: decisions.
        q_hat: the ridge's predictions, in the log's columns.
    """
    found = {RIDGE: q_hat[:, rows.columns], TREES: _by_trees(rows)}
    if (np.isfinite(rows.expected) | ~rows.exists).all():
        found[POLICY] = np.where(rows.exists, rows.expected, 0.0)
    return found


def _by_trees(rows: Rows) -> Floats:
    """Return what cross-fitted trees expect; (N, A)."""
    model = HistGradientBoostingRegressor(
        max_iter=60, max_depth=3, min_samples_leaf=_LEAF, early_stopping=False, random_state=0
    )
    log, hidden = rows.log, hidden_features(rows.revision)
    if log.listed is None:
        design = Design.of(log, exclude=hidden)
        return fit_model(log, model, time_folds(log), design)[:, rows.columns]
    context, folds = context_matrix(log, exclude=hidden), time_folds(log)  # (N, D), (N,)
    model.set_params(categorical_features=[context.shape[1]])
    found = np.empty(log.distribution.shape)  # (N, A)
    for fold in np.unique(folds).tolist():
        others, own = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        model.fit(_seen(rows, context, others, log.action[others]), log.reward[others])
        for place in range(log.distribution.shape[1]):
            there = np.full(len(own), place)
            found[own, place] = model.predict(_seen(rows, context, own, there))
    return found


def _seen(
    rows: Rows, context: Floats, chosen: NDArray[np.intp], place: NDArray[np.int64]
) -> Floats:
    """Return what trees see of M decisions and a place of each one's list; (M, D + 2)."""
    kind = rows.numbers[chosen, place] % _KINDS  # what pads a list, -1, is of any kind
    return np.column_stack([context[chosen], kind, place])


def two_opinions(rows: Rows) -> tuple[Floats, Floats]:
    """Return two independent predictions of each action's reward; (N, A) currency each.

    Ridge models of three blocks of time: a decision is predicted by one model of the next block and
    one of the block after it. So one can choose and the other judge, and neither has seen the
    decision: what is best by the one is not too good by the other.

    Args:
        rows: at least three decisions.
    """
    log, folds = rows.log, time_folds(rows.log, _BLOCKS)
    if log.listed is not None:
        return _two_of_supplied(rows, folds)
    design = Design.of(log, exclude=hidden_features(rows.revision), crossed=True)
    thetas = [_ridge(design, rows, np.flatnonzero(folds == block)) for block in range(_BLOCKS)]
    first, second = (np.empty((len(rows), len(rows.columns))) for _ in range(2))
    for block in range(_BLOCKS):
        own = np.flatnonzero(folds == block)
        for place, action in enumerate(rows.columns.tolist()):
            x = design.rows(own, np.full(len(own), action))  # (M, P)
            first[own, place] = x @ thetas[(block + 1) % _BLOCKS]
            second[own, place] = x @ thetas[(block + 2) % _BLOCKS]
    return first, second


def _two_of_supplied(rows: Rows, folds: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return two predictions as `two_opinions`, by models that know many actions by their class."""
    log, action = rows.log, drawn_class(rows.log)
    x = context_matrix(log, exclude=hidden_features(rows.revision))  # (N, D)
    names = class_names(log.actions)
    columns, models = ActionColumns.of(names), []
    for block in range(_BLOCKS):
        own = folds == block
        moments = Moments.of(x[own], action[own], log.reward[own], len(names))
        models.append(columns.fit(moments, _PENALTY))
    first, second = (predict_log(log, x, (folds + k) % _BLOCKS, models) for k in (1, 2))
    return first, second


def _ridge(design: Design, rows: Rows, chosen: NDArray[np.intp]) -> Floats:
    """Fit a ridge regression; (P,) coefficients."""
    x = design.rows(chosen, rows.log.action[chosen])  # (M, P)
    reward = rows.log.reward[chosen]
    gram = x.T @ x + _PENALTY * np.eye(x.shape[1])
    return np.asarray(np.linalg.solve(gram, x.T @ reward))
