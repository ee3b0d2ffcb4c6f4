"""The envelope: Wilson on the effective sample size, together with a Student interval."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.intervals.base import Bounds, Sample, t_quantile
from experiments.intervals.wilson import WilsonEss

_LEAST_DF = 9.0  # with fewer than ten effective conversions Wilson's part is the wider one


@dataclass(frozen=True)
class Envelope:
    """The union of Wilson's interval on the effective sample size with value -+ t stderr.

    A standard error from few conversions is itself noisy, and too small whenever one of great
    weight is missing. So t is Student's, with as many degrees of freedom as there are effective
    conversions, less one: (gain / stderr)^2 - 1, at least 9, and no more than are counted before
    costs, or the cost of each contact would pass for a conversion. What no policy can earn is left
    out.

    Where rewards are sparse Wilson's part rules, with weights that hang together with rewards the
    other. Neither alone covers: `python -m experiments.studies.coverage` says how often each does.
    """

    name: str = "envelope"
    assumption: str = "at least 10 effective conversions; the coverage is measured, not proved"
    anytime: bool = False
    needs_rows: bool = False

    def bounds(self, sample: Sample, level: float) -> Bounds:
        """Return the smallest interval that holds both, and the estimate."""
        least, most = sample.reward_range
        reach = t_quantile(level, _degrees(sample)) * sample.stderr
        student = Bounds(max(least, sample.value - reach), min(most, sample.value + reach))
        here = Bounds(sample.value, sample.value)
        return student.union(WilsonEss().bounds(sample, level)).union(here)


def _degrees(sample: Sample) -> float:
    if sample.stderr == 0.0:
        return _LEAST_DF
    seen = (max(sample.gain, sample.loss) / sample.stderr) ** 2
    return max(_LEAST_DF, min(seen, sample.conversions) - 1.0)
