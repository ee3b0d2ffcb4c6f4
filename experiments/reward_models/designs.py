"""What a reward model sees of a decision and an action, and which decisions it may learn from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.logs import LoggedDecisions
from experiments.reward_models.features import context_matrix

Floats = NDArray[np.float64]


def time_folds(log: LoggedDecisions, count: int = 5) -> NDArray[np.intp]:
    """Number blocks of time of about the same size; (N,) below `count`.

    Right for any log, and the only choice where the logging policy learned from earlier rows.

    Raises:
        ValueError: fewer than two folds, or more than decisions.
    """
    check_count(count, len(log))
    numbers = np.empty(len(log), dtype=np.intp)
    for fold, block in enumerate(np.array_split(np.argsort(log.at, kind="stable"), count)):
        numbers[block] = fold
    return numbers


@dataclass(frozen=True)
class Design:
    """The columns that a model sees of a decision and an action.

    Args:
        context: (N, D) what is known of each decision.
        actions: (A, K) what is known of each action.
        crossed: (A, F) by which every column of the context is multiplied, as columns of their
            own; F is 0 for none. Needed by linear models, or all customers would be best served
            by the same action; not by trees.
    """

    context: Floats
    actions: Floats
    crossed: Floats

    @classmethod
    def of(
        cls, log: LoggedDecisions, *, exclude: Collection[str] = (), crossed: bool = False
    ) -> Design:
        """Take the contexts as columns, and one column for each action, offer, channel and window.

        Args:
            log: decisions.
            exclude: features that shall not be used.
            crossed: whether the context is multiplied by the columns of the offers.
        """
        offers, others = _attributes(log.by_action("a model of each action").actions)
        columns = np.concatenate([offers, others], axis=1)
        context = context_matrix(log, exclude=exclude)
        return cls(context, columns, offers if crossed else offers[:, :0])

    def rows(self, chosen: NDArray[np.intp], action: NDArray[np.integer]) -> Floats:
        """Return the columns of M decisions and one action each; (M, D + K) or with products."""
        x = self.context[chosen]  # (M, D)
        products = x[:, :, None] * self.crossed[action][:, None, :]  # (M, D, F)
        parts = (
            x,
            self.actions[action],
            products.reshape(len(x), products.shape[1] * products.shape[2]),
        )
        return np.concatenate(parts, axis=1)


def _attributes(actions: Sequence[str]) -> tuple[Floats, Floats]:
    """Return one column for each offer (A, F), and each action, channel and window (A, K)."""
    creatives, sendings = zip(*(_halves(action) for action in actions), strict=True)
    offers = [creative.partition("/")[0] for creative in creatives]
    channels = [sending.partition("#")[0] for sending in sendings]
    windows = [sending.partition("#")[2] for sending in sendings]
    others = [_one_hot(values) for values in (actions, channels, windows)]
    return _one_hot(offers), np.concatenate(others, axis=1)


def _halves(action: str) -> tuple[str, str]:
    creative, _, sending = action.partition("@")
    return creative, sending


def _one_hot(values: Sequence[str]) -> Floats:
    names, codes = np.unique(np.array(values), return_inverse=True)
    return np.eye(len(names))[codes]


def check_count(count: int, decisions: int) -> None:
    """Refuse a number of folds that decisions cannot be divided into."""
    if not 2 <= count <= decisions:
        raise ValueError(
            f"expected from 2 folds to one for each of {decisions} decisions, got {count}"
        )
