"""Reward models: what each action would have earned, predicted from other decisions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.features import context_matrix
from experiments.logs import LoggedDecisions


@dataclass(frozen=True, slots=True)
class _Design:
    """The columns from which a reward is predicted, for any (decision, action) pair.

    phi(x, a) = [1, B[a], x, x (x) O[a]]: actions share what they have in common (offer, channel,
    window), and what a customer is like matters differently for each offer.

    Args:
        context: X, (N, D).
        attributes: B, (A, K), one-hot of id, offer, channel and window.
        offers: O, (A, F), one-hot of the offer.
    """

    context: NDArray[np.float64]
    attributes: NDArray[np.float64]
    offers: NDArray[np.float64]

    def rows(self, chosen: NDArray[np.intp], action: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return phi for some decisions (M,) and one action each (M,); (M, P)."""
        x = self.context[chosen]  # (M, D)
        cross = x[:, :, None] * self.offers[action][:, None, :]  # (M, D, F)
        parts = (np.ones((len(x), 1)), self.attributes[action], x, cross.reshape(len(x), -1))
        return np.concatenate(parts, axis=1)  # (M, P)

    def predict(self, chosen: NDArray[np.intp], theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return phi(x, a) . theta for some decisions (M,) and all actions; (M, A)."""
        x = self.context[chosen]  # (M, D)
        ends = np.cumsum([1, self.attributes.shape[1], x.shape[1]])
        intercept, of_action, of_context, crossed = np.split(theta, ends)
        by_offer = crossed.reshape(x.shape[1], self.offers.shape[1])  # (D, F)
        slopes = of_context[:, None] + by_offer @ self.offers.T  # (D, A)
        return np.asarray(intercept + self.attributes @ of_action + x @ slopes)  # (M, A)


def cross_fit(
    log: LoggedDecisions,
    *,
    folds: int = 5,
    penalty: float = 10.0,
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
    design = _Design(context_matrix(log, exclude=exclude), *_attributes(log.actions))
    blocks = np.array_split(np.argsort(log.at, kind="stable"), min(folds, len(log)))
    moments = [_moments(design.rows(b, log.action[b]), log.reward[b]) for b in blocks]
    q_hat = np.empty((len(log), len(log.actions)))  # (N, A)
    for fold, block in enumerate(blocks):
        others = moments[:fold] + moments[fold + 1 :]
        gram = np.sum([g for g, _ in others], axis=0)  # (P, P)
        cross = np.sum([c for _, c in others], axis=0)  # (P,)
        ridge = np.diag([0.0, *[penalty] * (len(cross) - 1)])  # (P, P)
        theta = np.asarray(np.linalg.solve(gram + ridge, cross))  # (P,)
        q_hat[block] = design.predict(block, theta)
    return q_hat


def _moments(
    phi: NDArray[np.float64], reward: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.asarray(phi.T @ phi), np.asarray(phi.T @ reward)  # (P, P), (P,)


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
