"""Which of several policies wrote each decision of a log, found out from what each would answer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from experiments.estimators.balanced import mixture
from experiments.logs import LoggedDecisions

Floats = NDArray[np.float64]

ALIKE = 1e-3
"""How far a logged probability may be from the answer of who wrote it: logs round."""

_MOST_TURNS, _CLOSE = 10_000, 1e-10


def mixture_of(log: LoggedDecisions, loggers: Mapping[str, Floats]) -> Floats:
    """Return the probability of what was drawn under all loggers together, in their shares.

    A logger wrote the decisions whose logged distribution is its answer. Where several would have
    answered alike it cannot be told which of them did, and does not matter; the shares are the
    likeliest ones given which loggers explain each decision. So nothing has to be believed of who
    wrote what but that who decided did not depend on the customer, as balanced weights ask anyway.

    Args:
        log: N decisions with the probability of every action.
        loggers: (N, A) answers by name, at all decisions; at least two.

    Returns:
        (N,) above 0; see `experiments.estimators.balanced.mixture`.

    Raises:
        LogError: the log has the drawn actions' probabilities alone, a decision is the answer of no
            logger, or a logger explains none by itself.
    """
    if not log.whole:
        raise LogError(
            "--logger: expected a log with the probability of every action, which tells who wrote"
            " each decision; got one of the drawn actions' alone"
        )
    answers = list(loggers.values())
    wrote = np.stack([(np.abs(p - log.distribution) <= ALIKE).all(axis=1) for p in answers])
    known = wrote.sum(axis=0)  # (N,)
    if not known.all():
        row, count = int(np.argmin(known)), int(np.count_nonzero(known == 0))
        raise LogError(
            f"--logger: expected all policies that wrote the log, got {', '.join(loggers)}; none of"
            f" them answers as was logged in {count:,} of {len(log):,} decisions, the first of them"
            f" {log.decision_id[row]}"
        )
    alone = (wrote & (known == 1)).any(axis=1)  # (L,)
    if not alone.all():
        name = list(loggers)[int(np.argmin(alone))]
        raise LogError(
            f"--logger {name}: expected a policy that wrote some decisions which no other logger"
            " explains, got one that did not; leave it out"
        )
    return mixture(log, answers, likeliest_shares(wrote, log.stands).tolist())


def likeliest_shares(wrote: NDArray[np.bool_], stands: Floats | None = None) -> Floats:
    """Return the shares of loggers that make most likely which of them explain each decision; (L,).

    To count what one logger alone explains would take from those that often answer as another does.
    Expectation and maximisation in turn find the maximum of sum_n log(sum of shares that explain
    n), which is concave.

    Args:
        wrote: (L, N) whether each logger explains each decision; at least one does.
        stands: (N,) how many decisions each stands for; one if not said.

    Example:
        >>> wrote = np.array([[1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]], dtype=bool)
        >>> likeliest_shares(wrote).tolist()
        [0.375, 0.375, 0.25]
    """
    kinds, place = np.unique(wrote, axis=1, return_inverse=True)  # (L, K), (N,)
    counts = np.bincount(place.ravel(), stands, minlength=kinds.shape[1])  # (K,)
    shares = np.full(len(wrote), 1.0 / len(wrote))  # (L,)
    for _ in range(_MOST_TURNS):
        told = kinds * shares[:, None]  # (L, K)
        better = (told / told.sum(axis=0)) @ counts / counts.sum()
        if np.abs(better - shares).max() < _CLOSE:
            break
        shares = better
    return np.asarray(better / better.sum())
