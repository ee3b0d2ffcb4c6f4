"""The last pass: what every estimator and diagnostic needs of each piece of a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from experiments.asking.parts import Named, draws, share_pieces
from experiments.diagnostics.audit import AuditSums
from experiments.diagnostics.drift import ShiftSums
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
from experiments.streaming.sections import (
    Beside,
    Clusters,
    Pair,
    PartMeasure,
    Section,
    TargetMeasure,
    limits_of,
)
from experiments.streaming.segments import Split
from experiments.streaming.source import Batch, Piece
from experiments.streaming.times import Cuts, microseconds
from experiments.tally import Tally
from experiments.weighing import Weighed

Floats = NDArray[np.float64]
Target = Callable[[LoggedDecisions], Floats]
"""Returns (n, A) probabilities for n decisions of a log; the same for a decision in any part."""

_FIRST = slice(0, 1)  # of the estimators: SNIPS


@dataclass(frozen=True)
class Measure:
    """What is known of some decisions, whatever is asked, and of each target.

    Args:
        audit, shift: for the diagnostics of the log.
        whole: all targets on all decisions.
        segments: by split, then by segment.
        parts: by target, then by part.
    """

    audit: AuditSums
    shift: ShiftSums
    whole: Section
    segments: tuple[tuple[Section, ...], ...] = ()
    parts: tuple[tuple[PartMeasure, ...], ...] = ()

    def __add__(self, other: Measure) -> Measure:
        splits = zip(self.segments, other.segments, strict=True)
        targets = zip(self.parts, other.parts, strict=True)
        return Measure(
            self.audit + other.audit,
            self.shift + other.shift,
            self.whole + other.whole,
            tuple(tuple(map(Section.__add__, *pair)) for pair in splits),
            tuple(tuple(map(PartMeasure.__add__, *pair)) for pair in targets),
        )


@dataclass(frozen=True)
class Asked:
    """What is measured.

    Args:
        estimators: that are tallied, SNIPS first.
        targets: that are valued.
        pairs: of targets, whose differences are wanted.
        splits: into segments.
        parts: offers and channels that are told apart.
    """

    estimators: tuple[Estimator, ...]
    targets: tuple[Target, ...]
    pairs: tuple[Pair, ...] = ()
    splits: tuple[Split, ...] = ()
    parts: tuple[Named, ...] = ()


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
        asked: what is measured.
    """

    reader: Reader
    actions: tuple[str, ...]
    places: int
    rows: int
    whole: bool
    encoding: Encoding
    cuts: Cuts
    models: tuple[Floats, ...]
    asked: Asked

    def __call__(self, piece: Piece) -> Measure:
        """Return what a piece adds.

        Raises:
            LogError: a row is malformed, or an estimator cannot be used on this log.
            ValueError: a target that is no distribution.
        """
        return added(self._of(batch) for batch in self.reader.batches(piece))

    def _of(self, batch: Batch) -> Measure:
        log = self.reader.log(batch, self.actions, places=self.places, whole=self.whole)
        block = ContextBlock(log.contexts, log.at)
        x = self.encoding.matrix(block)  # (n, D)
        own = buckets(log.customer)  # (n,)
        q_hat = None  # (n, A)
        if self.models:
            rows = row_numbers(batch)[self.reader.kept(batch)]
            blocks = self.cuts.blocks(microseconds(log.at), rows)
            q_hat = predict_log(log, x, blocks, self.models)
        weighed = [self._weighed(log, target, q_hat) for target in self.asked.targets]
        targets = [Beside.of(rows, self.asked.estimators) for rows in weighed]
        later = log.at >= self.cuts.middle  # (n,)
        return Measure(
            AuditSums.of(log, self.rows),
            ShiftSums.of(x, class_shares(log), later, own, BUCKETS),
            Section.of(targets, self.asked.pairs, self.cuts.middle, Clusters.alone(own)),
            tuple(
                tuple(self._segments(split, codes, targets, own))
                for split, codes in self._codes(batch, block)
            ),
            tuple(
                tuple(self._parts(rows, beside, own))
                for rows, beside in zip(weighed, targets, strict=True)
            ),
        )

    def _weighed(self, log: LoggedDecisions, target: Target, q_hat: Floats | None) -> Weighed:
        wanted = target(log) if len(log) else np.zeros(log.distribution.shape)  # (n, A)
        check_target(log, wanted)
        return Weighed(log, wanted, q_hat)

    def _codes(self, batch: Batch, block: ContextBlock) -> Iterator[tuple[Split, NDArray[np.intp]]]:
        """Yield the segment of each of n decisions, a split at a time."""
        for number, split in enumerate(self.asked.splits):
            yield split, self.reader.codes(batch, number, partial(split.codes, block))

    def _segments(
        self,
        split: Split,
        codes: NDArray[np.intp],
        targets: Sequence[Beside],
        own: NDArray[np.intp],
    ) -> Iterator[Section]:
        clusters = Clusters.shared(own, len(split.names))
        for code, middle in enumerate(split.middles):
            rows = np.flatnonzero(codes == code)  # (m,)
            inside = [each.where(rows) for each in targets]
            yield Section.of(inside, self.asked.pairs, middle, clusters.where(rows))

    def _parts(self, rows: Weighed, beside: Beside, own: NDArray[np.intp]) -> Iterator[PartMeasure]:
        clusters = Clusters.shared(own, len(self.asked.parts))
        for part in self.asked.parts:
            chosen = share_pieces(rows, part).standing_for(rows.log.stands)
            drawn = np.flatnonzero(draws(rows, part))  # (m,)
            inside = beside.where(drawn, _FIRST)
            yield PartMeasure(
                Tally.of(chosen, *clusters),
                TargetMeasure.of(inside, self.cuts.middle, clusters.where(drawn)),
                limits_of(inside.log),
            )
