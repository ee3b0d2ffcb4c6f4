"""Paths: two groups compared at many looks, with intervals that hold at all of them at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.intervals.asymptotic import FIRST_LOOK, Band, around, evidence
from experiments.intervals.sequential import always_valid_p
from experiments.lift.cuped import adjust
from experiments.lift.histories import Histories, Instants
from experiments.lift.measures import Measure
from experiments.lift.views import Floats, Mask, Point, Totals


@dataclass(frozen=True)
class Path:
    """The difference of two groups over time.

    Args:
        at: (L,) instants of the looks.
        value: (L,) difference of the means; NaN where one is not defined yet.
        stderr: (L,) NaN until both groups have 30 effective conversions: nobody has looked before.
        band: the confidence sequence, (L,) each.
        p: (L,) always-valid p-values.
        one, other: the two groups at the last look; None where they cannot be compared.
    """

    at: Instants
    value: Floats
    stderr: Floats
    band: Band
    p: Floats
    one: Point | None
    other: Point | None

    @property
    def clear(self) -> np.datetime64 | None:
        """The first look at which 0 lay outside the sequence; None if it never did."""
        outside = (self.band.low > 0.0) | (self.band.high < 0.0)
        return self.at[int(np.argmax(outside))] if outside.any() else None


def looks(found: Histories, count: int) -> Instants:
    """Return instants of looks, evenly spaced from the first decision to the end of the log.

    Raises:
        ValueError: fewer than one look.
    """
    if count < 1:
        raise ValueError(f"--looks: expected at least 1, got {count}")
    start, span = found.first.min(), found.end - found.first.min()
    return np.array([start + span * step // count for step in range(1, count + 1)])


def follow(
    measure: Measure,
    found: Histories,
    groups: tuple[Mask, Mask],
    at: Instants,
    *,
    rho: float,
    level: float = 0.95,
    covariates: Floats | None = None,
) -> Path:
    """Compare two groups at each look.

    The sequence's clock is the observations so far: customers, where each counts once, and
    decisions, where a customer's total still grows. In the second case it covers at least what it
    claims if what a customer does again is not negatively related over time. A first conversion,
    which can happen once, is; `experiments.studies.peeking` measures what that costs. The sequence
    is asymptotic, and starts when both groups have 30 effective conversions.

    Args:
        measure: what they are compared by.
        found: the customers.
        groups: (C,) each; the first less the second.
        at: (L,) instants, ascending.
        rho: of the sequence, from `experiments.intervals.asymptotic.tuned_rho`.
        level: nominal coverage of all looks together.
        covariates: (C, D) for CUPED; see `experiments.lift.cuped`.
    """
    pairs = [_pair(measure, found, groups, instant, covariates) for instant in at]
    rows = np.array([_difference(*pair) for pair in pairs])  # (L, 3)
    value, stderr, clock = rows.T
    band = around(value, stderr, clock, rho=rho, level=level)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = always_valid_p(evidence(value / stderr, clock, rho))
    return Path(at, value, stderr, band, p, *pairs[-1])


def _pair(
    measure: Measure,
    found: Histories,
    groups: tuple[Mask, Mask],
    instant: np.datetime64,
    covariates: Floats | None,
) -> tuple[Point | None, Point | None]:
    view = measure.at(found, instant)
    if covariates is not None and isinstance(view, Totals):
        view = adjust(view, covariates, groups)
    return view.point(groups[0]), view.point(groups[1])


def _difference(one: Point | None, other: Point | None) -> tuple[float, float, float]:
    if one is None or other is None:
        return float("nan"), float("nan"), 0.0
    value = one.sample.mean - other.sample.mean
    few = min(one.sample.conversions, other.sample.conversions) < FIRST_LOOK
    error = (one.sample.variance + other.sample.variance) ** 0.5
    return value, float("nan") if few else error, one.clock + other.clock
