"""The limits below which no number is told: all of them, in this one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What an answer must reach.

    A limit named `..._warning` only adds a warning; all others refuse.

    Args:
        ess: effective decisions, at least. Below it no interval was ever measured.
        conversions: effective conversions, at least. Below it no interval covers reliably.
        thin: a propensity below this supports nothing in practice.
        unsupported: share of the target's probability on barred actions and thin propensities,
            at most.
        top_share, top_share_warning: share of sum |w r| of the ten greatest terms, at most.
        apart, apart_warning: standard errors by which SNIPS and DR may differ, at most.
        alarm: a test of what must be true if the log tells the truth fails below this p-value.
        halves: by how much of the greater one the values of the log's two halves may differ, at
            most, if a test with `alarm` says that they do.
        overlap_warning: effective decisions as a share of all.
        shift_warning: standard deviations by which a feature's mean may move between the halves.
    """

    ess: float = 50.0
    conversions: float = 10.0
    thin: float = 1e-3
    unsupported: float = 0.01
    top_share: float = 0.9
    top_share_warning: float = 0.5
    apart: float = 2.0
    apart_warning: float = 1.0
    alarm: float = 1e-3
    halves: float = 0.5
    overlap_warning: float = 0.1
    shift_warning: float = 0.1


LIMITS = Limits()
