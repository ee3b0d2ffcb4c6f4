"""Reward models: what each action would have earned, predicted from other decisions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.logs import LoggedDecisions
from experiments.reward_models.designs import time_folds
from experiments.reward_models.features import context_matrix

FOLDS = 5
PENALTY = 10.0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """All that a linear model needs of some decisions; moments of parts can be added.

    With z = [1, x] the columns of a context behind a 1: an action enters a model's columns only
    by which one it is, so sums for each action say all.

    Args:
        squares: (A, D + 1, D + 1) sum of z z' over the decisions that drew each action.
        rewards: (A, D + 1) sum of z r over them.
    """

    squares: Floats
    rewards: Floats

    @classmethod
    def of(
        cls,
        x: Floats,
        action: NDArray[np.int64],
        reward: Floats,
        actions: int,
        stands: Floats | None = None,
    ) -> Moments:
        """Add up n decisions.

        Args:
            x: (n, D) contexts as columns.
            action: (n,) column of the drawn action, below `actions`.
            reward: (n,) currency.
            actions: A.
            stands: (n,) how many decisions each stands for; None if each for one.
        """
        small = action.astype(np.uint16) if actions <= np.iinfo(np.uint16).max else action
        order = np.argsort(small, kind="stable")  # by radix where it is small
        z, own = np.column_stack([np.ones(len(x)), x])[order], reward[order]  # (n, D + 1), (n,)
        if stands is not None:
            root = np.sqrt(stands[order])  # (n,)
            z, own = z * root[:, None], own * root
        ends = np.cumsum(np.bincount(action, minlength=actions))[:-1]
        parts = list(zip(np.split(z, ends), np.split(own, ends), strict=True))
        return cls(
            np.stack([part.T @ part for part, _ in parts]),
            np.stack([part.T @ own for part, own in parts]),
        )

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.squares + other.squares, self.rewards + other.rewards)


@dataclass(frozen=True)
class ActionColumns:
    """What a ridge regression sees of actions.

    Its columns of a decision and an action are [1, B[a], x, x (x) O[a]]: actions share what they
    have in common (offer, channel, window), and what a customer is like matters differently for
    each offer.

    Args:
        alone: (A, 1 + K) a 1, and one column for each id, offer, channel and window.
        crossed: (A, 1 + F) a 1, and one column for each offer; they multiply the context.
    """

    alone: Floats
    crossed: Floats

    @classmethod
    def of(cls, actions: Sequence[str]) -> ActionColumns:
        """Take the columns from the ids of actions."""
        attributes, offers = _attributes(actions)
        one = np.ones((len(actions), 1))
        return cls(np.hstack([one, attributes]), np.hstack([one, offers]))

    def fit(self, moments: Moments, penalty: float) -> Floats:
        """Return the coefficients of z = [1, x] for each action; (D + 1, A).

        Args:
            moments: of the decisions to learn from.
            penalty: of the squared coefficients, in decisions; the intercept is free.
        """
        s, u, v = moments.squares, self.alone, self.crossed
        d, k, f = s.shape[1] - 1, u.shape[1], v.shape[1]
        gram = np.empty((k + d * f, k + d * f))  # (P, P)
        gram[:k, :k] = (u * s[:, :1, 0]).T @ u
        gram[:k, k:] = np.einsum("ak,ad,af->kdf", u, s[:, 0, 1:], v, optimize=True).reshape(k, -1)
        gram[k:, :k] = gram[:k, k:].T
        pairs = np.einsum("ade,af,ag->dfeg", s[:, 1:, 1:], v, v, optimize=True)
        gram[k:, k:] = pairs.reshape(d * f, d * f)
        of_context = np.einsum("ad,af->df", moments.rewards[:, 1:], v).ravel()
        cross = np.concatenate([moments.rewards[:, 0] @ u, of_context])  # (P,)
        ridge = np.diag([0.0, *[penalty] * (len(cross) - 1)])  # (P, P)
        theta = np.linalg.solve(gram + ridge, cross)  # (P,)
        slopes = theta[k:].reshape(d, f) @ v.T  # (D, A)
        return np.vstack([u @ theta[:k], slopes])


def fit_others(
    moments: Sequence[Moments], columns: ActionColumns, penalty: float = PENALTY
) -> tuple[Floats, ...]:
    """For each block of time, fit a model on all others; see `ActionColumns.fit`."""
    fitted = []
    for fold in range(len(moments)):
        others = [*moments[:fold], *moments[fold + 1 :]]
        squares = np.sum([each.squares for each in others], axis=0)
        rewards = np.sum([each.rewards for each in others], axis=0)
        fitted.append(columns.fit(Moments(squares, rewards), penalty))
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
    q_hat = np.empty((len(x), models[0].shape[1]))  # (n, A)
    for fold in np.unique(folds).tolist():
        rows = folds == fold
        model = models[fold]
        q_hat[rows] = model[0] + (x if rows.all() else x[rows]) @ model[1:]
    return q_hat


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
    size = len(log.actions)
    moments = []
    for fold in range(int(numbers.max()) + 1):
        rows = numbers == fold  # (N,)
        stands = None if log.stands is None else log.stands[rows]
        moments.append(Moments.of(x[rows], log.action[rows], log.reward[rows], size, stands))
    return predict(x, numbers, fit_others(moments, ActionColumns.of(log.actions), penalty))


def _attributes(
    actions: Sequence[str],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the one-hot attributes (A, K) and offers (A, F) of actions, from their ids."""
    offers, channels, windows = zip(*(_parts(name) for name in actions), strict=True)
    offer_columns = _one_hot(offers)
    parts = (_one_hot(actions), offer_columns, _one_hot(channels), _one_hot(windows))
    return np.concatenate(parts, axis=1), offer_columns


def _parts(action: str) -> tuple[str, str, str]:
    """Split `offer/variant@channel#window`; `none` has an offer of its own name."""
    creative, _, sending = action.partition("@")
    channel, _, window = sending.partition("#")
    return creative.partition("/")[0], channel, window


def _one_hot(values: Sequence[str]) -> NDArray[np.float64]:
    _, codes = np.unique(values, return_inverse=True)
    return np.eye(int(codes.max()) + 1)[codes]
