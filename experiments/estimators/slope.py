"""SLOPE: which setting of an estimator, by how its candidates' intervals overlap."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from experiments.estimators.base import Estimator, Pieces
from experiments.intervals.base import normal_quantile
from experiments.tally import Tally, clusters_of
from experiments.weighing import Weighed

_LEVEL = 0.95
_SLACK = math.sqrt(6.0) - 1.0


def slope(tallies: Sequence[Tally], level: float = _LEVEL) -> int:
    """Return the candidate that is expected to be nearest to the truth.

    Candidates are ordered by bias: the first has none, and each has more bias and less variance
    than the one before. With half-widths c of their normal intervals, candidate i is in conflict
    with an earlier j if |V_i - V_j| > c_i + (sqrt(6) - 1) c_j: no chance, so bias. The last one
    before the first conflict is taken. Its error is within a constant of the best candidate's as
    far as the intervals hold, which with few conversions they do not.

    Args:
        tallies: one for each candidate, at least one, of the same decisions.
        level: nominal coverage of the intervals.

    Source: Su, Srinath and Krishnamurthy, ICML 2020; Tucker and Lee, arXiv 2107.10449.
    """
    z = normal_quantile(level)
    values = [tally.value for tally in tallies]
    widths = [z * tally.stderr for tally in tallies]
    for i in range(1, len(values)):
        limits = [widths[i] + _SLACK * width for width in widths[:i]]
        apart = [abs(values[i] - value) for value in values[:i]]
        if any(gap > limit for gap, limit in zip(apart, limits, strict=True)):
            return i - 1
    return len(values) - 1


@dataclass(frozen=True)
class Tuned:
    """An estimator whose setting is chosen on the log by `slope`.

    The choice needs sums over the whole log: `settle` makes it from tallies, so that a log may be
    streamed. `pieces` makes it too, and must be given the whole log.

    Args:
        name: as on the command line, without a setting.
        candidates: by growing bias; the first is unbiased.
    """

    name: str
    candidates: tuple[Estimator, ...]
    biased: bool = True

    @property
    def needs_model(self) -> bool:
        """Whether any candidate looks at a reward model's predictions."""
        return any(candidate.needs_model for candidate in self.candidates)

    def pieces(self, rows: Weighed) -> Pieces:
        """Return the pieces of the candidate that is chosen on these rows, which must be all."""
        clusters, size = clusters_of(rows.log.customer)
        chosen = settle(self, lambda each: Tally.of(each.pieces(rows), clusters, size))
        return chosen.pieces(rows)


def candidates_of(estimator: Estimator) -> tuple[Estimator, ...]:
    """Return the estimators that are to be tallied for one: its candidates, or it alone."""
    return estimator.candidates if isinstance(estimator, Tuned) else (estimator,)


def settle(estimator: Estimator, tally: Callable[[Estimator], Tally]) -> Estimator:
    """Return the estimator to report: the chosen candidate of a tuned one, any other as it is.

    Args:
        estimator: any.
        tally: returns a candidate's tally over the whole log; not called if there is no choice.
    """
    candidates = candidates_of(estimator)
    if len(candidates) == 1:
        return estimator
    return candidates[slope([tally(candidate) for candidate in candidates])]
