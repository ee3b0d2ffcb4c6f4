"""What a ridge regression sees of actions, and its solution one offer at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
        z, own = np.ones((len(x), x.shape[1] + 1)), reward[order]  # (n, D + 1), (n,)
        z[:, 1:] = x[order]
        if stands is not None:
            root = np.sqrt(stands[order])  # (n,)
            z, own = z * root[:, None], own * root
        ends = np.cumsum(np.bincount(action, minlength=actions))[:-1]
        parts = list(zip(np.split(z, ends), np.split(own, ends), strict=True))
        return cls(
            np.stack([part.T @ part for part, _ in parts]),
            np.stack([part.T @ own for part, own in parts]),
        )

    @classmethod
    def nothing(cls, width: int, actions: int) -> Moments:
        """Return the moments of no decisions, of D columns and A actions."""
        size = width + 1
        return cls(np.zeros((actions, size, size)), np.zeros((actions, size)))

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.squares + other.squares, self.rewards + other.rewards)


@dataclass(frozen=True)
class ActionColumns:
    """What a ridge regression sees of actions.

    Its columns of a decision and an action are [1, B[a], x, x (x) O[a]]: actions share what they
    have in common (offer, channel, window), and what a customer is like matters differently for
    each offer. B has a column for each id, offer, channel and window, and O for each offer.

    Args:
        offers: (A,) number of each action's offer.
        shared: (A, S) a 1, and one column for each channel and window: what offers share.
    """

    offers: NDArray[np.intp]
    shared: Floats

    @classmethod
    def of(cls, actions: Sequence[str]) -> ActionColumns:
        """Take the columns from the ids of actions."""
        offers, channels, windows = zip(*(_parts(name) for name in actions), strict=True)
        one = np.ones((len(actions), 1))
        return cls(_codes(offers), np.hstack([one, _one_hot(channels), _one_hot(windows)]))

    def fit(self, moments: Moments, penalty: float) -> Floats:
        """Return the coefficients of z = [1, x] for each action; (D + 1, A).

        Given the coefficients that offers share, those of an offer's own columns depend on its own
        decisions alone. So they are eliminated, offer by offer (the Schur complement), and the work
        grows with the number of offers, not with its cube.

        Args:
            moments: of the decisions to learn from.
            penalty: of the squared coefficients, in decisions; the intercept is free.
        """
        size = self.shared.shape[1] + moments.squares.shape[1] - 1
        gram = np.diag([0.0, *[penalty] * (size - 1)])  # (S + D, S + D)
        cross = np.zeros(size)
        parts = [_Part.of(self, each, moments, penalty) for each in self._alike()]
        for part in parts:
            gram += part.gram
            cross += part.cross
        theta = np.linalg.solve(gram, cross)  # (S + D,)
        found = np.empty((moments.squares.shape[1], len(self.offers)))  # (D + 1, A)
        for part in parts:
            found[:, part.actions] = np.moveaxis(part.coefficients(self, theta), -1, 0)
        return found

    def _alike(self) -> Iterator[NDArray[np.intp]]:
        """Yield the numbers of actions, (F, K), of the F offers that have K of them each."""
        order = np.argsort(self.offers, kind="stable")  # (A,)
        counts = np.bincount(self.offers)  # (offers,)
        starts = np.cumsum(counts) - counts
        for each in np.unique(counts).tolist():
            yield order[starts[counts == each][:, None] + np.arange(each)]


@dataclass(frozen=True)
class _Part:
    """Offers with the same number K of actions.

    An offer's own columns are one for each of its actions, one for itself, and the context's.

    Args:
        actions: (F, K) their numbers.
        gram, cross: what is left of the shared columns once the offers' own are eliminated.
        own: (F, K + 1 + D) coefficients of the own columns if the shared ones were 0.
        less: (F, K + 1 + D, S + D) how far they fall by each of the shared coefficients.
    """

    actions: NDArray[np.intp]
    gram: Floats
    cross: Floats
    own: Floats
    less: Floats

    @classmethod
    def of(
        cls, columns: ActionColumns, actions: NDArray[np.intp], moments: Moments, penalty: float
    ) -> _Part:
        squares, rewards = moments.squares[actions], moments.rewards[actions]  # (F, K, ...)
        shared = columns.shared[actions]  # (F, K, S)
        alone = np.broadcast_to(_alone(actions.shape[1]), (*actions.shape, actions.shape[1] + 1))
        inner = _products(alone, alone, squares)
        inner += penalty * np.eye(inner.shape[1])
        border = _products(alone, shared, squares)  # (F, K + 1 + D, S + D)
        right = np.concatenate([border, _earned(alone, rewards)[:, :, None]], axis=2)
        solved = np.linalg.solve(inner, right)
        own, less = solved[:, :, -1], solved[:, :, :-1]
        return cls(
            actions,
            _products(shared, shared, squares).sum(axis=0)
            - np.einsum("fls,flt->st", border, less, optimize=True),
            _earned(shared, rewards).sum(axis=0) - np.einsum("fls,fl->s", border, own),
            own,
            less,
        )

    def coefficients(self, columns: ActionColumns, theta: Floats) -> Floats:
        """Return those of z = [1, x], (F, K, D + 1), given those of the shared columns."""
        own = self.own - self.less @ theta  # (F, K + 1 + D)
        count, constants = self.actions.shape[1], columns.shared.shape[1]
        ones = columns.shared[self.actions] @ theta[:constants]  # (F, K)
        ones = ones + own[:, :count] + own[:, count, None]
        slopes = (theta[constants:] + own[:, count + 1 :])[:, None]  # (F, 1, D)
        slopes = np.broadcast_to(slopes, (*ones.shape, slopes.shape[2]))
        return np.concatenate([ones[:, :, None], slopes], axis=2)


def _alone(count: int) -> Floats:
    """Return the constant columns that the actions of an offer have of their own; (K, K + 1)."""
    return np.hstack([np.eye(count), np.ones((count, 1))])


def _products(left: Floats, right: Floats, squares: Floats) -> Floats:
    """Return the sum of u v' for columns u = [left, x] and v = [right, x]; (F, P + D, Q + D).

    Args:
        left: (F, K, P) constant columns of each action.
        right: (F, K, Q) others.
        squares: (F, K, D + 1, D + 1) sum of z z'.
    """
    first = squares[:, :, 0]  # (F, K, D + 1)
    counts = np.einsum("fkp,fk,fkq->fpq", left, first[:, :, 0], right, optimize=True)
    beside = np.einsum("fkp,fkd->fpd", left, first[:, :, 1:], optimize=True)
    below = np.einsum("fkd,fkq->fdq", first[:, :, 1:], right, optimize=True)
    upper = np.concatenate([counts, beside], axis=2)
    lower = np.concatenate([below, squares[:, :, 1:, 1:].sum(axis=1)], axis=2)
    return np.concatenate([upper, lower], axis=1)


def _earned(constants: Floats, rewards: Floats) -> Floats:
    """Return the sum of u r for columns u = [constants, x]; (F, P + D)."""
    ones = np.einsum("fkp,fk->fp", constants, rewards[:, :, 0])
    return np.concatenate([ones, rewards[:, :, 1:].sum(axis=1)], axis=1)


def _parts(action: str) -> tuple[str, str, str]:
    """Split `offer/variant@channel#window`; `none` has an offer of its own name."""
    creative, _, sending = action.partition("@")
    channel, _, window = sending.partition("#")
    return creative.partition("/")[0], channel, window


def _codes(values: Sequence[str]) -> NDArray[np.intp]:
    return np.asarray(np.unique(values, return_inverse=True)[1], dtype=np.intp)


def _one_hot(values: Sequence[str]) -> Floats:
    codes = _codes(values)
    return np.eye(int(codes.max()) + 1)[codes]
