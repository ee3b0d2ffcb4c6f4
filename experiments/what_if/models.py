"""What models expect of every action, barred ones included: for what a log alone cannot tell."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

from experiments.revisions import hidden_features
from experiments.reward_models.designs import Design, time_folds
from experiments.reward_models.fitted import fit_model
from experiments.what_if.rerun import Rows

Floats = NDArray[np.float64]
Models = Mapping[str, Floats]

RIDGE, TREES, POLICY = "ridge", "trees", "policy"
_BLOCKS = 3
_PENALTY = 10.0  # decisions
_LEAF = 50  # decisions in a leaf of the trees; conversions are rare


def predictions(rows: Rows, q_hat: Floats) -> dict[str, Floats]:
    """Return the expected reward of each action by several models; (N, A) currency each.

    `ridge` and `trees` are cross-fitted by time on this log; `policy` is what the policy itself
    expected when it decided, if it said so of every action. None of them has seen a barred action
    tried where it was barred: they carry over what they saw elsewhere.

    Args:
        rows: decisions.
        q_hat: the ridge's predictions, in the log's columns.
    """
    model = HistGradientBoostingRegressor(
        max_iter=60, max_depth=3, min_samples_leaf=_LEAF, early_stopping=False, random_state=0
    )
    design = Design.of(rows.log, exclude=hidden_features(rows.revision))
    fitted = fit_model(rows.log, model, time_folds(rows.log), design)
    found = {RIDGE: q_hat[:, rows.columns], TREES: fitted[:, rows.columns]}
    if np.isfinite(rows.expected).all():
        found[POLICY] = rows.expected
    return found


def two_opinions(rows: Rows) -> tuple[Floats, Floats]:
    """Return two independent predictions of each action's reward; (N, A) currency each.

    Ridge models of three blocks of time: a decision is predicted by one model of the next block and
    one of the block after it. So one can choose and the other judge, and neither has seen the
    decision: what is best by the one is not too good by the other.

    Args:
        rows: at least three decisions.
    """
    log = rows.log
    design = Design.of(log, exclude=hidden_features(rows.revision), crossed=True)
    folds = time_folds(log, _BLOCKS)
    thetas = [_ridge(design, rows, np.flatnonzero(folds == block)) for block in range(_BLOCKS)]
    first, second = (np.empty((len(rows), len(rows.columns))) for _ in range(2))
    for block in range(_BLOCKS):
        own = np.flatnonzero(folds == block)
        for place, action in enumerate(rows.columns.tolist()):
            x = design.rows(own, np.full(len(own), action))  # (M, P)
            first[own, place] = x @ thetas[(block + 1) % _BLOCKS]
            second[own, place] = x @ thetas[(block + 2) % _BLOCKS]
    return first, second


def _ridge(design: Design, rows: Rows, chosen: NDArray[np.intp]) -> Floats:
    """Fit a ridge regression; (P,) coefficients."""
    x = design.rows(chosen, rows.log.action[chosen])  # (M, P)
    reward = rows.log.reward[chosen]
    gram = x.T @ x + _PENALTY * np.eye(x.shape[1])
    return np.asarray(np.linalg.solve(gram, x.T @ reward))
