"""The normal interval: value plus and minus z standard errors."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.intervals.base import Bounds, Sample, normal_quantile


@dataclass(frozen=True)
class Normal:
    """The interval value -+ z stderr.

    On sparse rewards it is too narrow: 95% intervals covered 72 to 88% at 1,000 decisions and 88 to
    96% at 10,000. So the envelope has Student's quantile in place of z, and Wilson's beside it.
    """

    name: str = "normal"
    assumption: str = "the mean of the terms is normal, which needs some hundred conversions"
    anytime: bool = False
    needs_rows: bool = False

    def bounds(self, sample: Sample, level: float) -> Bounds:
        """Return value -+ z stderr."""
        reach = normal_quantile(level) * sample.stderr
        return Bounds(sample.value - reach, sample.value + reach)
