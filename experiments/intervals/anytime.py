"""The asymptotic confidence sequence of an estimate."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.intervals.asymptotic import FIRST_LOOK, around, tuned_rho
from experiments.intervals.base import Bounds, Sample


@dataclass(frozen=True)
class Asymptotic:
    """Value -+ as many standard errors as hold at all looks at once, in the limit.

    Until the weighted decisions are worth `FIRST_LOOK` (30) conversions it is the whole range of
    rewards: a standard error from fewer is often far too small, and a sequence that is left once
    is left for good. Conversions are counted as Wilson's interval on the effective sample size
    counts its successes: ESS x gain / highest reward, or the same with losses if that is more.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Annals of Statistics 2024; see
        `experiments.intervals.asymptotic` for the formula.
    """

    name: str = "asymptotic"
    assumption: str = "no look before 30 conversions; from then on a theorem in the limit only"
    anytime: bool = True
    needs_rows: bool = False

    def bounds(self, sample: Sample, level: float) -> Bounds:
        """Return the interval at this look."""
        rho = tuned_rho(level=level)
        here = Bounds(sample.value, sample.value)
        if _conversions(sample) < FIRST_LOOK:
            return here.union(sample.reward_range)
        low, high = around(sample.value, sample.stderr, sample.n, rho=rho, level=level)
        return Bounds(float(low), float(high))


def _conversions(sample: Sample) -> float:
    trials = sample.ess / sample.design_effect
    low, high = sample.reward_range
    shares = (
        sample.gain / high if high > 0.0 else 0.0,
        sample.loss / -low if low < 0.0 else 0.0,
    )
    return trials * max(shares)
