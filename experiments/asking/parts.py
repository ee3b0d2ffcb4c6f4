"""What a policy is worth by offer and by channel, and how often it would choose each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.actions import NONE_ID
from agents.errors import LogError
from experiments.diagnostics import LIMITS
from experiments.estimators import Estimate, Pieces
from experiments.evaluate import SNIPS, Question
from experiments.intervals.base import t_quantile

KINDS = ("offer", "channel")


@dataclass(frozen=True, slots=True)
class Part:
    """One offer or one channel of one policy.

    Args:
        target: name of the policy.
        kind: `offer` or `channel`.
        name: of it; `none` is both.
        share: how often the policy would choose it, in [0, 1]; exact but for which customers came.
        share_low, share_high: interval of the share.
        value: what a decision earns in which the policy chooses it, by SNIPS over the decisions
            that drew it; None if no two customers did.
        supported: whether there is enough to tell it.
        forced: whether it is told all the same.
    """

    target: str
    kind: str
    name: str
    share: float
    share_low: float
    share_high: float
    value: Estimate | None
    supported: bool
    forced: bool = False

    @property
    def shown(self) -> Estimate | None:
        """The value if it may be told."""
        return self.value if self.supported or self.forced else None


def parts_of(
    target: str, question: Question, *, supported: bool, forced: bool = False
) -> tuple[Part, ...]:
    """Take a policy apart, by offer and by channel.

    Args:
        target: its name.
        question: it, on a log.
        supported: whether its value as a whole is.
        forced: whether numbers are told all the same.
    """
    found = []
    for kind in KINDS:
        log = question.rows.log.by_action("--parts")
        names = [_part(action, kind) for action in log.actions]  # (A,)
        for name in dict.fromkeys(names):
            columns = np.array([each == name for each in names])  # (A,)
            share, low, high = _share(question, columns)
            value = _value(question, columns)
            enough = value is not None and value.enough and value.ess >= LIMITS.ess
            found.append(
                Part(target, kind, name, share, low, high, value, supported and enough, forced)
            )
    return tuple(found)


def _part(action: str, kind: str) -> str:
    """Return the offer or the channel of `offer/variant@channel#window`.

    Example:
        >>> _part("plan/save@email#morning", "offer"), _part("plan/save@email#morning", "channel")
        ('plan', 'email')
    """
    creative, at, sending = action.partition("@")
    if kind == "offer" or not at:
        return creative.partition("/")[0] if kind == "offer" or action == NONE_ID else "unknown"
    return sending.partition("#")[0]


def _share(question: Question, columns: NDArray[np.bool_]) -> tuple[float, float, float]:
    chosen = Pieces(question.rows.target[:, columns].sum(axis=1))
    tally = question.tally(chosen.standing_for(question.rows.log.stands))
    df = max(1.0, question.clusters[1] - 1.0)
    reach = t_quantile(question.level, df) * tally.stderr
    return tally.value, max(0.0, tally.value - reach), min(1.0, tally.value + reach)


def _value(question: Question, columns: NDArray[np.bool_]) -> Estimate | None:
    drawn = columns[question.rows.log.action] & (question.rows.weights > 0.0)  # (N,)
    if not drawn.any():
        return None
    try:
        return question.where(drawn).ask(SNIPS)
    except LogError:  # of one customer only
        return None
