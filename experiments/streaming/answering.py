"""Answers of a streamed log: the same figures as in memory, from sums."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from experiments.asking.differences import Difference, differences
from experiments.asking.labels import in_order
from experiments.asking.parts import Part, part_of, value_of
from experiments.asking.segments import Segment, Segments, segment_of
from experiments.diagnostics import Diagnostics, Health, judge
from experiments.estimators import Estimate, Estimator, find_estimator, settle
from experiments.evaluate import SNIPS, Evaluation
from experiments.intervals import Bounds, Grouped, Interval, Sample
from experiments.paired import Gap, gap_of, less, tally_of
from experiments.streaming.measuring import Asked, Measure
from experiments.streaming.sections import Section, TargetMeasure
from experiments.tally import Tally

Floats = NDArray[np.float64]


def pairs_of(size: int) -> tuple[tuple[int, int], ...]:
    """Return all pairs of so many targets.

    Example:
        >>> pairs_of(3)
        ((0, 1), (0, 2), (1, 2))
    """
    return tuple(combinations(range(size), 2))


@dataclass(frozen=True)
class Manner:
    """How all answers of one stream are made.

    Args:
        interval: around each estimate.
        level: nominal coverage.
        reward_range: the least and the greatest reward that was declared; None for those seen.
        whole: whether every action's probability was logged.
        forced: whether numbers are told although the verdict is against them.
    """

    interval: Interval
    level: float
    reward_range: Bounds | None
    whole: bool
    forced: bool

    def limits(self, seen: Bounds) -> Bounds:
        """Return the least and the greatest reward, declared or seen."""
        return seen if self.reward_range is None else seen.union(self.reward_range)


@dataclass(frozen=True)
class Summed:
    """What is known of one target on some decisions, from which its estimates are made.

    Args:
        measure: of the target.
        estimators: in the order of the measure's tallies, SNIPS first.
        diagnostics: of the target on those decisions.
        limits: the least and the greatest reward.
        manner: of the answers.
        number: of the target.
        apart: by pair of targets, see `Section`.
    """

    measure: TargetMeasure
    estimators: tuple[Estimator, ...]
    diagnostics: Diagnostics
    limits: Bounds
    manner: Manner
    number: int = 0
    apart: Mapping[tuple[int, int], Floats] | None = None

    @property
    def level(self) -> float:
        """Nominal coverage."""
        return self.manner.level

    @property
    def shares(self) -> bool:
        """Whether the target could have made any of the draws."""
        return bool(self.measure.amounts[0] > 0.0)

    def answer(self, name: str, estimators: Sequence[str], *, forced: bool = False) -> Evaluation:
        """Return the answers of some estimators, with the diagnostics and what they mean."""
        rows = tuple(self.ask(find_estimator(each)) for each in estimators)
        warnings = judge(self.diagnostics, rows).warnings
        return Evaluation(
            name, rows, self.diagnostics, warnings, tuple(estimators), forced, self.level
        )

    def ask(self, estimator: Estimator) -> Estimate:
        """Return one estimator's answer."""
        estimator = settle(estimator, self._tally)
        tally, found = self._tally(estimator), self.diagnostics
        total, gain, loss = self.measure.amounts.tolist()
        sample = Sample(
            n=tally.n, value=tally.value, stderr=tally.stderr,
            design_effect=self._tally(SNIPS).design_effect, ess=found.ess,
            gain=gain / total if total > 0.0 else 0.0, loss=loss / total if total > 0.0 else 0.0,
            reward_range=self.limits, weight_limit=found.possible_weight,
            conversions=found.effective_conversions, grouped=self._grouped(tally),
        )  # fmt: skip
        low, high = self.manner.interval.bounds(sample, self.level)
        return Estimate(
            estimator.name, tally.value, tally.stderr, low, high, found.ess,
            found.effective_conversions, tally.n, self.level,
        )  # fmt: skip

    def over(self, other: Summed, estimator: Estimator) -> Gap:
        """Return how much more this target is worth than another; see `experiments.paired.gap`."""
        pair = (min(self.number, other.number), max(self.number, other.number))
        total, squares = (self.apart or {})[pair].tolist()
        one, two = (each._tally(settle(estimator, each._tally)) for each in (self, other))
        conversions = total**2 / squares if squares > 0.0 else 0.0
        tally = tally_of(one.counts, less(one.totals, two.totals))
        halves = self.measure.sums.values, other.measure.sums.values
        return gap_of(tally, conversions, halves, self.level)

    def _grouped(self, tally: Tally) -> Grouped | None:
        """Return what each cluster adds up to, if the interval looks at it."""
        if not self.manner.interval.needs_rows:
            return None
        kept = tally.counts > 0.0  # (G,)
        _, gains, weights, stands = self._tally(SNIPS).sums[kept].T  # (M,) each
        return Grouped(tally.counts[kept], tally.totals[kept], weights, stands, gains)

    def _tally(self, estimator: Estimator) -> Tally:
        return dict(zip(self.estimators, self.measure.tallies, strict=True))[estimator]


@dataclass(frozen=True)
class Teller:
    """Makes answers from what was measured.

    Args:
        names: of the targets, in the order they were measured in.
        measure: of the whole log.
        asked: what was measured.
        health: of the log.
        estimators: as they were asked for.
        manner: of the answers.
    """

    names: tuple[str, ...]
    measure: Measure
    asked: Asked
    health: Health
    estimators: tuple[str, ...]
    manner: Manner

    @property
    def _whole(self) -> dict[str, Summed]:
        return self._summed(self.measure.whole, self.health)

    def evaluations(self) -> tuple[Evaluation, ...]:
        """Return the value of every target."""
        return tuple(
            each.answer(name, self.estimators if each.shares else (), forced=self.manner.forced)
            for name, each in self._whole.items()
        )

    def differences(self, comparable: Mapping[str, bool]) -> tuple[Difference, ...]:
        """Hold the targets against each other.

        Args:
            comparable: as of `experiments.asking.differences.differences`.
        """
        if not self.asked.pairs:
            return ()
        beside = {name: each for name, each in self._whole.items() if each.shares}
        return differences(beside, self.estimators, comparable, forced=self.manner.forced)

    def segments(self, supported: Mapping[str, bool]) -> tuple[Segments, ...]:
        """Value the targets that may be told as a whole in each segment."""
        told = {
            name
            for name, each in self._whole.items()
            if each.shares and (supported[name] or self.manner.forced)
        }
        if not told:
            return ()
        health = Health(self.health.audit)
        found = []
        for split, sections in zip(self.asked.splits, self.measure.segments, strict=True):
            by_name = dict(zip(split.names, sections, strict=True))
            names = [name for name in in_order(split.names) if by_name[name].n]
            rows = (self._segment(name, by_name[name], told, health) for name in names)
            found.append(Segments(split.by, tuple(rows)))
        return tuple(found)

    def parts(self, name: str, *, supported: bool) -> Iterator[Part]:
        """Take a target apart by offer and channel."""
        number = self.names.index(name)
        if not (self.asked.parts and self._whole[name].shares):
            return
        health = Health(self.health.audit)
        for part, each in zip(self.asked.parts, self.measure.parts[number], strict=True):
            value = None
            if each.drawn.sums.n:
                diagnostics = each.drawn.sums.diagnostics(health, whole=self.manner.whole)
                limits = self.manner.limits(each.limits)
                value = value_of(Summed(each.drawn, (SNIPS,), diagnostics, limits, self.manner))
            yield part_of(
                name, part, each.share, value, self.manner.level,
                supported=supported, forced=self.manner.forced,
            )  # fmt: skip

    def _segment(
        self, name: str, section: Section, told: Collection[str], health: Health
    ) -> Segment:
        every = self._summed(section, health)
        inside = {target: each for target, each in every.items() if target in told}
        return segment_of(name, section.n, inside, self.estimators, forced=self.manner.forced)

    def _summed(self, section: Section, health: Health) -> dict[str, Summed]:
        """Return all targets on some decisions, of which there is at least one."""
        apart = dict(zip(self.asked.pairs, section.apart, strict=True))
        limits = self.manner.limits(section.limits)
        return {
            name: Summed(
                each, self.asked.estimators, each.sums.diagnostics(health, whole=self.manner.whole),
                limits, self.manner, number, apart,
            )
            for number, (name, each) in enumerate(zip(self.names, section.targets, strict=True))
        }  # fmt: skip
