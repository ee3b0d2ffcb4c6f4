"""What is known of targets on some decisions: on all of a log, on a segment, or on a part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.diagnostics.overlap import TargetSums
from experiments.estimators import Estimator, Pieces
from experiments.intervals import Bounds
from experiments.logs import LoggedDecisions
from experiments.paired import less
from experiments.streaming.hashes import BUCKETS
from experiments.tally import Tally
from experiments.weighing import Weighed

Floats = NDArray[np.float64]
Pair = tuple[int, int]

_CELLS, _FEWEST, _MOST = 262_144, 256, 4_096


class Clusters(NamedTuple):
    """Which decisions are not independent.

    Args:
        numbers: (n,) cluster of each decision, below `size`.
        size: G.
    """

    numbers: NDArray[np.intp]
    size: int

    @classmethod
    def shared(cls, buckets: NDArray[np.intp], sections: int) -> Clusters:
        """Return fewer clusters than there are buckets, the fewer the more sections there are.

        Each section remembers sums by cluster; 4,096 of them know a standard error to 1%.

        Args:
            buckets: (n,) of the customers.
            sections: of one kind, such as segments.
        """
        size = _MOST
        while size > _FEWEST and size * sections > _CELLS:
            size //= 2
        return cls(buckets % size, size)

    def where(self, own: NDArray[np.intp]) -> Clusters:
        """Keep some decisions, (m,)."""
        return Clusters(self.numbers[own], self.size)

    @classmethod
    def alone(cls, buckets: NDArray[np.intp]) -> Clusters:
        """Return a cluster for each bucket."""
        return cls(buckets, BUCKETS)


@dataclass(frozen=True)
class Beside:
    """Some decisions beside one target, with what each estimator makes of them.

    Args:
        log: n decisions, without their contexts.
        wanted: (n, A) the target's probabilities.
        counted: (n,) importance weights, each as often as its decision counts.
        pieces: by the estimators' order.
    """

    log: LoggedDecisions
    wanted: Floats
    counted: Floats
    pieces: tuple[Pieces, ...]

    @classmethod
    def of(cls, rows: Weighed, estimators: Sequence[Estimator]) -> Beside:
        """Ask the estimators."""
        log = replace(rows.log, contexts=np.empty(len(rows.log), dtype=np.object_))
        pieces = (each.pieces(rows).standing_for(log.stands) for each in estimators)
        return cls(log, rows.target, rows.counted, tuple(pieces))

    def where(self, own: NDArray[np.intp], pieces: slice = slice(None)) -> Beside:
        """Keep some rows, (m,), and maybe some of the estimators only."""
        kept = (each.where(own) for each in self.pieces[pieces])
        return Beside(self.log.take(own), self.wanted[own], self.counted[own], tuple(kept))


@dataclass(frozen=True)
class TargetMeasure:
    """What is known of a target on some decisions.

    Args:
        tallies: by the estimators' order.
        sums: for the diagnostics.
        amounts: (3,) sums of w, w max(r, 0) and w max(-r, 0).
    """

    tallies: tuple[Tally, ...]
    sums: TargetSums
    amounts: Floats

    @classmethod
    def of(cls, rows: Beside, middle: np.datetime64, clusters: Clusters) -> TargetMeasure:
        """Add up some decisions; `middle` is the instant at which their second half begins."""
        gain, loss = (np.maximum(sign * rows.log.reward, 0.0) for sign in (1.0, -1.0))  # (n,)
        w = rows.counted
        return cls(
            tuple(Tally.of(each, *clusters) for each in rows.pieces),
            TargetSums.of(rows.log, rows.wanted, middle, *clusters),
            np.array([w.sum(), w @ gain, w @ loss]),
        )

    def __add__(self, other: TargetMeasure) -> TargetMeasure:
        pairs = zip(self.tallies, other.tallies, strict=True)
        return TargetMeasure(
            tuple(one + two for one, two in pairs),
            self.sums + other.sums,
            self.amounts + other.amounts,
        )


@dataclass(frozen=True)
class Section:
    """What is known of all targets on the same decisions.

    Args:
        targets: one measure each.
        apart: (P, 2) sums of |d v| and (d v)^2 for each pair of targets, with d the difference of
            their weights and v the outcomes' value.
        limits: the least and the greatest reward, and 0.
    """

    targets: tuple[TargetMeasure, ...]
    apart: Floats
    limits: Bounds

    @classmethod
    def of(
        cls,
        targets: Sequence[Beside],
        pairs: Sequence[Pair],
        middle: np.datetime64,
        clusters: Clusters,
    ) -> Section:
        """Add up some decisions.

        Args:
            targets: at least one, beside the same decisions.
            pairs: of targets, whose differences are wanted.
            middle: the instant at which the second half of the section begins in the whole log.
            clusters: of the decisions.
        """
        log = targets[0].log
        gaps = [
            less(targets[one].counted, targets[other].counted) * log.outcome_value
            for one, other in pairs
        ]
        apart = np.array([[np.abs(gap).sum(), gap @ gap] for gap in gaps])
        return cls(
            tuple(TargetMeasure.of(each, middle, clusters) for each in targets),
            apart.reshape(len(pairs), 2),
            limits_of(log),
        )

    @property
    def n(self) -> int:
        """The number of decisions."""
        return self.targets[0].sums.n

    def __add__(self, other: Section) -> Section:
        pairs = zip(self.targets, other.targets, strict=True)
        return Section(
            tuple(one + two for one, two in pairs),
            self.apart + other.apart,
            self.limits.union(other.limits),
        )


@dataclass(frozen=True)
class PartMeasure:
    """What is known of one offer or one channel of a target.

    Args:
        share: of the target's probability of it.
        drawn: of the decisions that drew it, by SNIPS alone.
        limits: the least and the greatest reward of those, and 0.
    """

    share: Tally
    drawn: TargetMeasure
    limits: Bounds

    def __add__(self, other: PartMeasure) -> PartMeasure:
        return PartMeasure(
            self.share + other.share, self.drawn + other.drawn, self.limits.union(other.limits)
        )


def limits_of(log: LoggedDecisions) -> Bounds:
    """Return the least and the greatest reward of some decisions, and 0."""
    return Bounds(float(log.reward.min(initial=0.0)), float(log.reward.max(initial=0.0)))
