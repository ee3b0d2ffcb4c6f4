"""Intervals: how far an estimate may be from the truth."""

from experiments.intervals.base import Bounds, clustered_error
from experiments.intervals.difference import MeanSample, difference_interval, mean_sample
from experiments.intervals.envelope import envelope_interval
from experiments.intervals.normal import normal_interval
from experiments.intervals.wilson import wilson_ess_interval, wilson_interval

__all__ = [
    "Bounds", "MeanSample", "clustered_error", "difference_interval", "envelope_interval",
    "mean_sample", "normal_interval", "wilson_ess_interval", "wilson_interval",
]  # fmt: skip
