"""The empirical Bernstein bound: an interval that holds at every number of decisions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from experiments.intervals.base import Bounds, Sample, check_level
from experiments.intervals.grouped import all_groups


@dataclass(frozen=True)
class EmpiricalBernstein:
    """Mean of weight x reward, plus and minus a bound that needs no limit theorem.

    With L = log(4 / alpha), variance s^2 of the totals of G customers and R the widest range that
    a total can have: sqrt(2 s^2 L / G) + 7 R L / (3 (G - 1)), in totals, divided by the decisions
    a customer has. R is the greatest weight times the range of rewards, so it is very wide until
    there are far more conversions than the greatest weight.

    It is about the mean of weight x reward, whatever the estimator; where that leaves out the
    estimate, it is extended to it. What no policy can earn is left out.

    Source: Maurer and Pontil, COLT 2009, theorem 4.
    """

    name: str = "bernstein"
    assumption: str = "a known greatest weight and range of rewards; independent customers"
    anytime: bool = False
    needs_rows: bool = True

    def bounds(self, sample: Sample, level: float) -> Bounds:
        """Return the interval around the mean of weight x reward, joined with the estimate."""
        check_level(level)
        groups = all_groups(sample, self.name)
        count, each = len(groups), float(groups.sizes.mean())
        low, high = sample.reward_range
        widest = float(groups.sizes.max()) * sample.weight_limit * (max(high, 0.0) - min(low, 0.0))
        heavy = math.log(4.0 / (1.0 - level))
        spread = float(np.var(groups.gains, ddof=1))
        reach = math.sqrt(2.0 * spread * heavy / count) + 7.0 * widest * heavy / (3.0 * (count - 1))
        middle = float(groups.gains.mean()) / each
        found = Bounds(max(low, middle - reach / each), min(high, middle + reach / each))
        return found.union(Bounds(sample.value, sample.value))
