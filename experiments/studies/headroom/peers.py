"""What open libraries offer, made to keep masks: their scores, masked by us.

None of them takes a mask with each decision, or says with which probability it chose. They get
standardised numbers and the realised reward of the action drawn, and act on their best allowed
score without a floor, which would only cost them.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

# mabwiser comes without type information
from mabwiser.mab import MAB, LearningPolicy
from numpy.typing import NDArray


class Peer(Protocol):
    """A learner on arrays: decisions in, a score of every action out."""

    def scores(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return scores, (n, A), of decisions (n, 1+D) between which nothing is learned."""

    def learn(
        self, x: NDArray[np.float64], actions: NDArray[np.intp], rewards: NDArray[np.float64]
    ) -> None:
        """Learn from decisions (n, 1+D), the actions drawn (n,) and their rewards (n,)."""


class LinUCB:
    """A ridge regression for each action, and a bonus for what it does not know.

    Score: `x . theta_a + bonus sqrt(x' V_a^-1 x)`, with `V_a = I + sum x x'`.

    Args:
        actions: A.
        columns: 1+D.
        bonus: times the standard error.

    Source: Li et al., WWW 2010.
    """

    def __init__(self, actions: int, columns: int, bonus: float) -> None:
        self._bonus = bonus
        self._inverse = np.repeat(np.eye(columns)[None], actions, axis=0)  # (A, C, C)
        self._sums = np.zeros((actions, columns))  # (A, C)
        self._theta = np.zeros((actions, columns))  # (A, C)

    def scores(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return mean and bonus, (n, A)."""
        spread = np.einsum("nc,acd,nd->na", x, self._inverse, x, optimize=True)  # (n, A)
        return np.asarray(x @ self._theta.T + self._bonus * np.sqrt(np.maximum(spread, 0.0)))

    def learn(
        self, x: NDArray[np.float64], actions: NDArray[np.intp], rewards: NDArray[np.float64]
    ) -> None:
        """Update each drawn action's inverse by Sherman and Morrison's formula."""
        for row, action, reward in zip(x, actions.tolist(), rewards.tolist(), strict=True):
            inverse = self._inverse[action]  # (C, C)
            pulled = inverse @ row  # (C,)
            inverse -= np.outer(pulled, pulled) / (1.0 + row @ pulled)
            self._sums[action] += reward * row
            self._theta[action] = inverse @ self._sums[action]


class Mabwiser:
    """One of mabwiser's linear policies.

    Args:
        actions: A.
        columns: 1+D.
        policy: one of `LearningPolicy`.
        seed: of its own random numbers.
    """

    def __init__(self, actions: int, columns: int, policy: object, seed: int) -> None:
        self._mab = MAB(arms=list(range(actions)), learning_policy=policy, seed=seed)
        # `fit` sets up all arms but wants a lesson: an empty customer teaches nothing.
        self._mab.fit([0], [0.0], np.zeros((1, columns)))

    def scores(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return its expectations, (n, A); LinTS samples them."""
        found = self._mab.predict_expectations(x)
        rows = found if isinstance(found, list) else [found]
        return np.array([list(row.values()) for row in rows])  # (n, A)

    def learn(
        self, x: NDArray[np.float64], actions: NDArray[np.intp], rewards: NDArray[np.float64]
    ) -> None:
        """Fit the batch."""
        self._mab.partial_fit(actions, rewards, x)


PEERS = ("LinUCB .25", "mabwiser LinTS .1", "mabwiser LinUCB .1", "mabwiser LinGreedy .05")


def make_peer(name: str, actions: int, columns: int, seed: int) -> Peer:
    """Build one of `PEERS`, untaught."""
    if name == "LinUCB .25":
        return LinUCB(actions, columns, 0.25)
    policies = {
        "mabwiser LinTS .1": LearningPolicy.LinTS(alpha=0.1),
        "mabwiser LinUCB .1": LearningPolicy.LinUCB(alpha=0.1),
        "mabwiser LinGreedy .05": LearningPolicy.LinGreedy(epsilon=0.05),
    }
    return Mabwiser(actions, columns, policies[name], seed)
