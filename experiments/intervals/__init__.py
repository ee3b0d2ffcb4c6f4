"""Intervals: how far an estimate may be from the truth, one a file.

A new interval is one module here and one line in `INTERVALS`.
"""

from __future__ import annotations

from collections.abc import Mapping

from agents.errors import UnknownNameError, did_you_mean
from experiments.intervals.anytime import Asymptotic
from experiments.intervals.base import Bounds, Grouped, Interval, Rows, Sample
from experiments.intervals.bernstein import EmpiricalBernstein
from experiments.intervals.betting import Betting
from experiments.intervals.bootstrap import Bootstrap
from experiments.intervals.difference import MeanSample, difference_interval, mean_sample
from experiments.intervals.envelope import Envelope
from experiments.intervals.likelihood import EmpiricalLikelihood
from experiments.intervals.normal import Normal
from experiments.intervals.wilson import WilsonEss, wilson_interval

__all__ = [
    "INTERVALS", "Bounds", "Grouped", "Interval", "MeanSample", "Rows", "Sample",
    "difference_interval", "find_interval", "mean_sample", "wilson_interval",
]  # fmt: skip

_ALL: tuple[Interval, ...] = (
    Envelope(), Normal(), WilsonEss(), Bootstrap(), EmpiricalLikelihood(), EmpiricalBernstein(),
    Betting(), Asymptotic(),
)  # fmt: skip
INTERVALS: Mapping[str, Interval] = {interval.name: interval for interval in _ALL}


def find_interval(name: str) -> Interval:
    """Return an interval by its name.

    Raises:
        UnknownNameError: there is no such interval.

    Example:
        >>> find_interval("betting").anytime
        True
    """
    if name not in INTERVALS:
        raise UnknownNameError(f"there is no interval {name!r}; {did_you_mean(name, INTERVALS)}")
    return INTERVALS[name]
