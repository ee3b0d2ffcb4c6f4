"""Replay: the decisions in which the log did what the target would have done."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.errors import LogError
from experiments.estimators.base import Pieces
from experiments.logs import LoggedDecisions
from experiments.weighing import Weighed

_SLACK = 1e-9


@dataclass(frozen=True)
class Replay:
    """The mean reward of the decisions that the target would have made too.

    Only for decisions drawn uniformly, where what is kept is a fair sample. A target that draws
    keeps a decision in the measure of its probability. With k allowed actions one decision in k is
    kept, so each kept one counts k times; with the same k everywhere this is the plain mean.

    Source: Li, Chu, Langford and Wang, WSDM 2011.
    """

    name: str = "replay"
    needs_model: bool = False
    biased: bool = False

    def pieces(self, rows: Weighed) -> Pieces:
        """Return k target(drawn) r over k target(drawn).

        Raises:
            LogError: a decision that was not drawn uniformly from its allowed actions.
        """
        _check_uniform(rows.log)
        return Pieces(np.zeros_like(rows.weights), rows.weights * rows.log.reward, rows.weights)


def kept(rows: Weighed) -> float:
    """Return how many decisions a replay keeps; the expected number if the target draws."""
    return float(rows.drawn(rows.target).sum())


def _check_uniform(log: LoggedDecisions) -> None:
    even = 1.0 / np.count_nonzero(log.allowed, axis=1)  # (N,)
    good = np.abs(log.propensity - even) <= _SLACK  # (N,)
    if not good.all():
        row = int(np.argmin(good))
        raise LogError(
            f"replay: decision {log.decision_id[row]}: expected a probability of {even[row]:.6g},"
            f" the same for each allowed action, got {log.propensity[row]:.6g};"
            " use the decisions of the random group, or snips"
        )
