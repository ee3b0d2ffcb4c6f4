"""Logs of very many actions: arrays by place in each row's own list, and actions by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from experiments.logs.decisions import LoggedDecisions
from experiments.logs.layout import WIDE, width_of_lists

CLASSES = 256
"""Of very many actions: what is told of each action otherwise is told of each class."""

Floats = NDArray[np.float64]


def places_for(actions: Sequence[str], longest: int, rows: int) -> int:
    """Return how many columns the pieces of a log have if they are places; 0 if they are actions.

    Args:
        actions: of the whole log.
        longest: the most of them that a row lists.
        rows: of the whole log.
    """
    return longest if len(actions) > WIDE else width_of_lists(rows, len(actions), longest)


def numbers_of(log: LoggedDecisions) -> NDArray[np.int64]:
    """Return the number of each column's action, (N, A); (1, A) if it is the same in each row."""
    return np.arange(len(log.actions))[None] if log.listed is None else log.listed


def of_listed(log: LoggedDecisions, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Say of which columns something is known that is known of actions.

    Args:
        log: N decisions.
        known: (actions,) of the whole log.

    Returns:
        (N, A), or (1, A) if it is the same in each row; not true after the end of a list.
    """
    numbers = numbers_of(log)
    return np.asarray(known[numbers] & (numbers >= 0))


def class_names(actions: Sequence[str]) -> tuple[str, ...]:
    """Return the ids of A actions, or names of the K classes that they are in if A > `WIDE`.

    Example:
        >>> class_names(["none", "call"])
        ('none', 'call')
        >>> len(class_names([str(number) for number in range(5_000)]))
        256
    """
    if len(actions) <= WIDE:
        return tuple(actions)
    return tuple(f"class/{number}" for number in range(CLASSES))


def class_of(action: NDArray[np.int64], actions: Sequence[str]) -> NDArray[np.int64]:
    """Return the class of actions by their numbers, whatever was drawn: they are dealt in turn.

    Args:
        action: numbers among `actions`; what pads a list, -1, is in any of the classes.
        actions: of the whole log; if they are not very many, each is a class of its own.
    """
    return np.asarray(action % CLASSES if len(actions) > WIDE else np.maximum(action, 0))


def drawn_class(log: LoggedDecisions) -> NDArray[np.int64]:
    """Return the column of each drawn action, or its class if columns are places; (N,)."""
    return log.action if log.listed is None else class_of(log.drawn, log.actions)


def class_shares(log: LoggedDecisions) -> Floats:
    """Return the logged probability of each action, (N, A), or of each class, (N, K)."""
    if log.listed is None:
        return log.distribution
    size = len(class_names(log.actions))
    rows = np.arange(len(log))[:, None] * size  # (N, 1)
    cells = (rows + class_of(log.listed, log.actions)).ravel()  # padding has probability 0
    sums = np.bincount(cells, log.distribution.ravel(), minlength=len(log) * size)
    return np.asarray(sums, dtype=np.float64).reshape(len(log), size)


def by_place(log: LoggedDecisions, by_class: Floats, rows: slice) -> Floats:
    """Return what is known of classes in M rows, (M, K), for each place of them; (M, A)."""
    if log.listed is None:
        return by_class
    return np.take_along_axis(by_class, class_of(log.listed[rows], log.actions), axis=1)
