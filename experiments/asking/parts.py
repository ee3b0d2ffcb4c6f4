"""What a policy is worth by offer and by channel, and how often it would choose each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from agents.actions import NONE_ID
from agents.errors import LogError
from experiments.diagnostics import LIMITS
from experiments.estimators import Estimate, Estimator, Pieces
from experiments.evaluate import SNIPS, Question
from experiments.intervals.base import t_quantile
from experiments.tally import Tally
from experiments.weighing import Weighed

KINDS = ("offer", "channel")


class Asked(Protocol):
    """Decisions beside a policy, of which an estimator can be asked."""

    def ask(self, estimator: Estimator, /) -> Estimate:
        """Return one estimator's answer."""


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


class Named(NamedTuple):
    """One offer or one channel of a log.

    Args:
        kind: `offer` or `channel`.
        name: of it.
        columns: (A,) whether each action is of it.
    """

    kind: str
    name: str
    columns: NDArray[np.bool_]


def named_parts(actions: Sequence[str]) -> list[Named]:
    """List the offers, then the channels of A actions.

    Example:
        >>> [part.name for part in named_parts(["none", "plan/save@email#morning"])]
        ['none', 'plan', 'none', 'email']
    """
    by_kind = {kind: [_part(action, kind) for action in actions] for kind in KINDS}  # (A,) each
    return [
        Named(kind, name, np.array([each == name for each in names]))
        for kind, names in by_kind.items()
        for name in dict.fromkeys(names)
    ]


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
    log, found = question.rows.log.by_action("--parts"), []
    for part in named_parts(log.actions):
        chosen = share_pieces(question.rows, part).standing_for(log.stands)
        drawn = draws(question.rows, part)  # (N,)
        value = value_of(question.where(drawn)) if drawn.any() else None
        share = question.tally(chosen)
        found.append(
            part_of(target, part, share, value, question.level, supported=supported, forced=forced)
        )
    return tuple(found)


def share_pieces(rows: Weighed, part: Named) -> Pieces:
    """Return the target's probability of one part at each decision, before standing for others."""
    return Pieces(rows.target[:, part.columns].sum(axis=1))


def draws(rows: Weighed, part: Named) -> NDArray[np.bool_]:
    """Say which decisions drew a part that the target could have chosen; (N,)."""
    return np.asarray(part.columns[rows.log.action] & (rows.weights > 0.0))


def value_of(question: Asked) -> Estimate | None:
    """Return what some decisions earn by SNIPS; None if they are of one customer only."""
    try:
        return question.ask(SNIPS)
    except LogError:
        return None


def part_of(
    target: str,
    part: Named,
    share: Tally,
    value: Estimate | None,
    level: float,
    *,
    supported: bool,
    forced: bool,
) -> Part:
    """Put together what is told of one part of a policy.

    Args:
        target: name of the policy.
        part: which.
        share: of the policy's probabilities of it.
        value: of the decisions that drew it; None if nothing can be said.
        level: of the share's interval.
        supported: whether the policy's value as a whole is.
        forced: whether numbers are told all the same.
    """
    customers = float(np.count_nonzero(share.counts))
    reach = t_quantile(level, max(1.0, customers - 1.0)) * share.stderr
    low, high = max(0.0, share.value - reach), min(1.0, share.value + reach)
    enough = value is not None and value.enough and value.ess >= LIMITS.ess
    return Part(
        target, part.kind, part.name, share.value, low, high, value, supported and enough, forced
    )


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
