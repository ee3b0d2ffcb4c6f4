"""Comparisons: groups by one measure after another, or one measure segment by segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from experiments.lift.cuped import Covariates, check_covariates
from experiments.lift.histories import Histories, Instants
from experiments.lift.measures import Measure
from experiments.lift.paths import Path, follow
from experiments.lift.views import Floats, Mask, Totals


@dataclass(frozen=True)
class Setting:
    """What all comparisons of one report share.

    Args:
        group, over: the first less the second.
        at: (L,) instants of the looks.
        rho: of the sequences.
        level: nominal coverage.
        covariates: for CUPED; None for none.
    """

    group: str
    over: str
    at: Instants
    rho: float
    level: float = 0.95
    covariates: Covariates | None = None

    def members(self, found: Histories) -> tuple[Mask, Mask]:
        """Return who is in the two groups; (C,) each."""
        return found.member(self.group), found.member(self.over)


@dataclass(frozen=True)
class Compared:
    """Two groups compared by one measure.

    Args:
        measure: what they are compared by.
        path: over time; the last look is now.
        level: of the sequence; above the report's where several segments share its errors.
        saved: share of the variance that CUPED took out at the last look; NaN without it.
        segment: whose customers they are; empty for everybody.
        adjusted_p: Benjamini and Hochberg's, over the segments of a report; NaN for everybody.
    """

    measure: Measure
    path: Path
    level: float
    saved: float = float("nan")
    segment: str = ""
    adjusted_p: float = float("nan")

    @property
    def low(self) -> float:
        """The lower end of the sequence at the last look, in the measure's own unit."""
        return float(self.path.band.low[-1])

    @property
    def high(self) -> float:
        """The upper end of the sequence at the last look."""
        return float(self.path.band.high[-1])

    @property
    def value(self) -> float:
        """The difference at the last look; NaN if it is not defined."""
        return float(self.path.value[-1])

    @property
    def outside(self) -> bool:
        """Whether 0 lies outside the sequence now; it may have before, as totals still grow."""
        return self.low > 0.0 or self.high < 0.0

    @property
    def enough(self) -> bool:
        """Whether both groups have enough effective conversions for a sequence to have begun."""
        return bool(np.isfinite(self.path.stderr[-1]))


def compare_groups(
    found: Histories, measures: Sequence[Measure], setting: Setting
) -> tuple[Compared, ...]:
    """Compare two groups by several measures, each with a sequence at the setting's own level.

    Of twenty measures that did not change, one sequence in a lifetime leaves 0 out: name the one
    that decides beforehand, in a plan.

    Raises:
        LogError: covariates that the two groups do not share.
    """
    groups = setting.members(found)
    if setting.covariates is not None:
        check_covariates(setting.covariates, *groups)
    return tuple(_compared(found, measure, setting, groups) for measure in measures)


def compare_segments(
    found: Histories, measure: Measure, setting: Setting, labels: NDArray[np.object_]
) -> tuple[Compared, ...]:
    """Compare two groups by one measure within each segment of customers.

    Looking at many segments finds one that looks good by luck. So each of M sequences is at level
    1 - alpha / M (Bonferroni): all of them hold at once, at all looks, with the level asked for.
    Beside it stands a p-value adjusted by Benjamini and Hochberg: of the segments below 0.05 one in
    twenty is expected to be none. Segments that are not big enough to be compared count too.

    Args:
        found: the customers.
        measure: what they are compared by.
        setting: of the report.
        labels: (C,) segment of each customer, as of the first decision.
    """
    names = sorted(set(labels.tolist()))
    level = 1.0 - (1.0 - setting.level) / max(1, len(names))
    rows = []
    for name in names:
        inside = np.asarray(labels == name, dtype=np.bool_)
        one, other = setting.members(found)
        rows.append(_compared(found, measure, setting, (one & inside, other & inside), level, name))
    adjusted = benjamini_hochberg([row.path.p[-1] for row in rows])
    return tuple(
        Compared(r.measure, r.path, r.level, r.saved, r.segment, float(p))
        for r, p in zip(rows, adjusted, strict=True)
    )


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Return adjusted p-values: calling those below q true makes a share of q of the calls false.

    Sorted, p_(i) M / i, made monotone from the greatest down. It assumes that the tests are
    independent or positively related, as those of separate segments are.

    Source: Benjamini and Hochberg, JRSS B 1995.

    Example:
        >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.5]).round(3).tolist()
        [0.04, 0.053, 0.053, 0.5]
    """
    values = np.asarray(p, dtype=np.float64)  # (M,)
    order = np.argsort(values)
    ranks = np.arange(1, len(values) + 1)
    raised = np.minimum.accumulate((values[order] * len(values) / ranks)[::-1])[::-1]
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(raised, 1.0)
    return adjusted


def _compared(
    found: Histories,
    measure: Measure,
    setting: Setting,
    groups: tuple[Mask, Mask],
    level: float | None = None,
    segment: str = "",
) -> Compared:
    chosen = setting.level if level is None else level
    values = None if setting.covariates is None else setting.covariates.values
    path = follow(
        measure, found, groups, setting.at, rho=setting.rho, level=chosen, covariates=values
    )
    saved = float("nan") if values is None else _saved(measure, found, groups, setting, path)
    return Compared(measure, path, chosen, saved, segment)


def _saved(
    measure: Measure, found: Histories, groups: tuple[Mask, Mask], setting: Setting, path: Path
) -> float:
    """Return the share of the difference's variance that an adjusted path has less than a raw."""
    view = measure.at(found, setting.at[-1])
    plain = (view.point(groups[0]), view.point(groups[1]))
    pairs = list(zip((path.one, path.other), plain, strict=True))
    if not isinstance(view, Totals) or any(a is None or b is None for a, b in pairs):
        return float("nan")
    adjusted = sum(a.sample.variance for a, _ in pairs if a is not None)
    raw = sum(b.sample.variance for _, b in pairs if b is not None)
    return 1.0 - adjusted / raw if raw > 0.0 else 0.0
