"""Balanced IPS: one log that several policies wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from experiments.estimators.base import Pieces
from experiments.logs import LoggedDecisions
from experiments.weighing import Weighed


@dataclass(frozen=True)
class Balanced:
    """The mean of target(drawn) / mixture(drawn) r.

    A decision is weighed by how probable its action was under all loggers together, in their
    shares of the log, and not under the one that happened to decide: a logger that hardly ever
    draws what the target likes then does no harm. Unbiased if the loggers met the same customers.

    Source: Agarwal et al., KDD 2017; the balance heuristic of Veach and Guibas, SIGGRAPH 1995.
    """

    name: str = "bips"
    needs_model: bool = False
    biased: bool = False

    def pieces(self, rows: Weighed) -> Pieces:
        """Return target(drawn) / mixture(drawn) r.

        Raises:
            LogError: the mixture is not known.
        """
        if rows.mixture is None:
            raise LogError(
                "bips: expected the probability of each drawn action under the mixture of all"
                " policies that wrote the log, got none; name each of them with --logger, or give"
                " evaluate() what experiments.estimators.balanced.mixture returns; or use ips"
            )
        return Pieces(rows.drawn(rows.target) / rows.mixture * rows.log.reward)


def mixture(
    log: LoggedDecisions, loggers: Sequence[NDArray[np.float64]], shares: Sequence[float]
) -> NDArray[np.float64]:
    """Return the probability of what was drawn, under the mixture of all loggers.

    Args:
        log: the decisions of all loggers.
        loggers: (N, A) each: what that policy would have answered at every decision of the log,
            those of the others too; see `experiments.targets`.
        shares: of the log that each of them wrote, above 0, with a sum of 1.

    Returns:
        (N,) above 0.

    Raises:
        ValueError: shares that are no such numbers, or one for another number of loggers.
        LogError: an action was drawn that none of them could have drawn.
    """
    if len(loggers) != len(shares) or min(shares) <= 0.0 or abs(sum(shares) - 1.0) > 1e-9:
        raise ValueError(
            f"expected a share above 0 for each of {len(loggers)} loggers, with a sum of 1;"
            f" got {list(shares)}"
        )
    rows = np.arange(len(log))
    drawn = sum(share * p[rows, log.action] for share, p in zip(shares, loggers, strict=True))
    mixed = np.asarray(drawn, dtype=np.float64)  # (N,)
    if not (mixed > 0.0).all():
        row = int(np.argmin(mixed > 0.0))
        raise LogError(
            f"decision {log.decision_id[row]}: expected an action that one of the"
            f" {len(loggers)} loggers could draw, got {log.actions[log.drawn[row]]}"
        )
    return mixed
