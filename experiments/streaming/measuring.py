"""The last pass: what every estimator and diagnostic needs of each piece of a log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.diagnostics.audit import AuditSums
from experiments.diagnostics.drift import ShiftSums
from experiments.diagnostics.overlap import TargetSums
from experiments.estimators import Estimator
from experiments.evaluating import check_target
from experiments.logs import LoggedDecisions
from experiments.logs.places import class_shares
from experiments.reward_models.features import Encoding
from experiments.reward_models.raw_features import ContextBlock
from experiments.reward_models.ridge import predict_log
from experiments.streaming.hashes import BUCKETS, buckets
from experiments.streaming.passes import added
from experiments.streaming.reading import Reader, row_numbers
from experiments.streaming.source import Batch, Piece
from experiments.streaming.times import Cuts, microseconds
from experiments.tally import Tally
from experiments.weighing import Weighed

Floats = NDArray[np.float64]
Target = Callable[[LoggedDecisions], Floats]
"""Returns (n, A) probabilities for n decisions of a log; the same for a decision in any part."""


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

    def __add__(self, other: TargetMeasure) -> TargetMeasure:
        pairs = zip(self.tallies, other.tallies, strict=True)
        return TargetMeasure(
            tuple(one + two for one, two in pairs),
            self.sums + other.sums,
            self.amounts + other.amounts,
        )


@dataclass(frozen=True)
class Measure:
    """What is known of some decisions, whatever is asked, and of each target."""

    audit: AuditSums
    shift: ShiftSums
    targets: tuple[TargetMeasure, ...]

    def __add__(self, other: Measure) -> Measure:
        pairs = zip(self.targets, other.targets, strict=True)
        return Measure(
            self.audit + other.audit,
            self.shift + other.shift,
            tuple(one + two for one, two in pairs),
        )


@dataclass(frozen=True)
class TakeMeasure:
    """Measures a piece.

    Args:
        reader: of the log.
        actions: of the log.
        places: the most actions that a row lists, if they are very many; see `lay_out`.
        rows: decisions that count in the whole log.
        whole: whether every action's probability was logged.
        encoding: how contexts become columns.
        cuts: where blocks of time begin.
        models: (D + 1, K) for each block, of actions or their classes; none if no estimator needs
            one.
        estimators: that are tallied.
        targets: that are valued.
    """

    reader: Reader
    actions: tuple[str, ...]
    places: int
    rows: int
    whole: bool
    encoding: Encoding
    cuts: Cuts
    models: tuple[Floats, ...]
    estimators: tuple[Estimator, ...]
    targets: tuple[Target, ...]

    def __call__(self, piece: Piece) -> Measure:
        """Return what a piece adds.

        Raises:
            LogError: a row is malformed, or an estimator cannot be used on this log.
            ValueError: a target that is no distribution.
        """
        return added(self._of(batch) for batch in self.reader.batches(piece))

    def _of(self, batch: Batch) -> Measure:
        log = self.reader.log(batch, self.actions, places=self.places, whole=self.whole)
        x = self.encoding.matrix(ContextBlock(log.contexts, log.at))  # (n, D)
        clusters = buckets(log.customer)  # (n,)
        q_hat = None  # (n, A)
        if self.models:
            rows = row_numbers(batch)[self.reader.kept(batch)]
            blocks = self.cuts.blocks(microseconds(log.at), rows)
            q_hat = predict_log(log, x, blocks, self.models)
        later = log.at >= self.cuts.middle  # (n,)
        return Measure(
            AuditSums.of(log, self.rows),
            ShiftSums.of(x, class_shares(log), later, clusters, BUCKETS),
            tuple(self._target(log, target, q_hat, clusters) for target in self.targets),
        )

    def _target(
        self,
        log: LoggedDecisions,
        target: Target,
        q_hat: Floats | None,
        clusters: NDArray[np.intp],
    ) -> TargetMeasure:
        wanted = target(log) if len(log) else np.zeros(log.distribution.shape)  # (n, A)
        check_target(log, wanted)
        rows = Weighed(log, wanted, q_hat)
        gain, loss = (np.maximum(sign * log.reward, 0.0) for sign in (1.0, -1.0))  # (n,)
        return TargetMeasure(
            tuple(
                Tally.of(each.pieces(rows).standing_for(log.stands), clusters, BUCKETS)
                for each in self.estimators
            ),
            TargetSums.of(log, wanted, self.cuts.middle, clusters, BUCKETS),
            np.array([rows.counted.sum(), rows.counted @ gain, rows.counted @ loss]),
        )
