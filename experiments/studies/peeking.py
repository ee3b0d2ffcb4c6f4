"""Peeking: how often tests find a difference between two groups that are alike.

`python -m experiments.studies.peeking` prints, for markets whose groups do not differ, how often
each test is refused when it is looked at 100 times; and how often it finds a lift that a fixed test
with one look finds four times in five.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray

from experiments.intervals.asymptotic import FIRST_LOOK, Sums, multiplier, tuned_rho
from experiments.intervals.base import normal_quantile
from experiments.intervals.sequential import msprt

Floats = NDArray[np.float64]

LOOKS = 100
LEVEL = 0.95


class Half(NamedTuple):
    """One group at every look: (R, L) each, for R experiments.

    Args:
        sums: of the customers' amounts.
        seen: observations so far, the sequence's clock.
    """

    sums: Sums
    seen: Floats

    @property
    def enough(self) -> NDArray[np.bool_]:
        """Whether there are enough effective conversions to look; amounts are not negative here."""
        some = self.sums.squares > 0.0
        return np.asarray(some & (np.square(self.sums.total) >= FIRST_LOOK * self.sums.squares))


Draw = Callable[[np.random.Generator, int, int, float], Half]


@dataclass(frozen=True)
class Market:
    """A kind of customers.

    Args:
        name: for the table.
        customers: of both groups.
        holdout: share of them in the second.
        mean: of a customer's amount, from which mSPRT's tau is a tenth.
        draw: R experiments of one group with so many customers and a relative lift.
        experiments: how many are run.
    """

    name: str
    customers: int
    holdout: float
    mean: float
    draw: Draw
    experiments: int


def _ends(customers: int) -> NDArray[np.int64]:
    """Return how many customers have come at each look; (L,)."""
    return np.array([customers * look // LOOKS for look in range(1, LOOKS + 1)], dtype=np.int64)


def _share(rng: np.random.Generator, experiments: int, customers: int, lift: float) -> Half:
    """One customer in fifty converts, or not; customers come evenly over the looks."""
    ends = _ends(customers)
    steps = np.diff(ends, prepend=0)  # (L,)
    total = rng.binomial(steps, 0.02 * (1.0 + lift), (experiments, LOOKS)).cumsum(axis=1)
    n = np.broadcast_to(ends.astype(np.float64), total.shape)
    return Half(Sums(n, total.astype(np.float64), total.astype(np.float64)), n)


def _amount(rng: np.random.Generator, experiments: int, customers: int, lift: float) -> Half:
    """One customer in twenty buys, for a lognormal amount (mean 100, sd 131)."""
    ends = _ends(customers) - 1
    rows = []
    for _ in range(experiments):
        bought = rng.random(customers) < 0.05 * (1.0 + lift)
        amounts = np.where(bought, rng.lognormal(np.log(100.0) - 0.5, 1.0, customers), 0.0)
        rows.append(np.stack([amounts.cumsum()[ends], np.square(amounts).cumsum()[ends]]))
    both = np.array(rows)  # (R, 2, L)
    n = np.broadcast_to(ends + 1.0, both[:, 0].shape)
    return Half(Sums(n, both[:, 0], both[:, 1]), n)


def _again(rng: np.random.Generator, experiments: int, customers: int, lift: float) -> Half:
    """All are there from the start and buy now and then, some often: their totals grow."""
    rows = []
    for _ in range(experiments):
        often = rng.gamma(0.5, 0.02, customers) * (1.0 + lift)
        totals = rng.poisson(often, (LOOKS, customers)).cumsum(axis=0)  # (L, C)
        rows.append(np.stack([totals.sum(axis=1), np.square(totals).sum(axis=1)]))
    both = np.array(rows, dtype=np.float64)  # (R, 2, L)
    n = np.full(both[:, 0].shape, float(customers))
    return Half(Sums(n, both[:, 0], both[:, 1]), n * np.arange(1.0, LOOKS + 1.0))


def _once(rng: np.random.Generator, experiments: int, customers: int, lift: float) -> Half:
    """All are there from the start, and in the end nine in ten have converted, once each."""
    kept = 1.0 - 0.9 * (1.0 + lift)  # who have not converted in the end
    hazard = 1.0 - kept ** (1.0 / LOOKS)  # at every look, of those who have not yet
    left = np.full(experiments, customers)  # (R,)
    totals = np.empty((experiments, LOOKS))
    for look in range(LOOKS):
        left = left - rng.binomial(left, hazard)
        totals[:, look] = customers - left
    n = np.full(totals.shape, float(customers))
    return Half(Sums(n, totals, totals), n * np.arange(1.0, LOOKS + 1.0))


MARKETS = (
    Market("2% convert, halves", 100_000, 0.5, 0.02, _share, 4_000),
    Market("2% convert, 5% held back", 100_000, 0.05, 0.02, _share, 4_000),
    Market("amounts, 20% held back", 20_000, 0.2, 5.0, _amount, 1_000),
    Market("totals that grow, halves", 1_000, 0.5, 0.5, _again, 400),
    Market("once, 90% in the end, halves", 2_000, 0.5, 0.9, _once, 4_000),
)


def refusals(market: Market, rng: np.random.Generator, experiments: int, lift: float = 0.0) -> dict[
    str, float
]:  # fmt: skip
    """Return the share of experiments in which each test finds a difference.

    Args:
        market: whose customers; the first group gets the lift.
        rng: of the luck.
        experiments: how many.
        lift: relative; 0 for an A/A test.
    """
    held = round(market.customers * market.holdout)
    one = market.draw(rng, experiments, market.customers - held, lift)
    other = market.draw(rng, experiments, held, 0.0)
    value = one.sums.mean - other.sums.mean
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt(one.sums.variance / one.sums.n + other.sums.variance / other.sums.n)
        z = np.abs(value) / np.where(one.enough & other.enough, error, np.nan)  # (R, L)
    clock = one.seen + other.seen
    rho = tuned_rho(float(clock[0, -1]), LEVEL)
    usual = z > normal_quantile(LEVEL)
    ratio = msprt(value, value / np.where(z > 0.0, np.copysign(z, value), np.nan), market.mean / 10)
    tests: Mapping[str, NDArray[np.bool_]] = {
        "fixed, one look": usual[:, -1:],
        "fixed, 100 looks": usual,
        "mSPRT": ratio >= 1.0 / (1.0 - LEVEL),
        "asymptotic": z > multiplier(clock, rho, LEVEL),
    }
    return {name: float(found.any(axis=1).mean()) for name, found in tests.items()}


def lift_for(market: Market, rng: np.random.Generator) -> float:
    """Return the lift that a fixed test with one look finds four times in five, about."""
    half = market.draw(rng, 20, market.customers, 0.0)
    variance = float(half.sums.variance[:, -1].mean())
    held = market.holdout * (1.0 - market.holdout) * market.customers
    mean = float(half.sums.mean[:, -1].mean())
    return float((normal_quantile(LEVEL) + 0.8416) * np.sqrt(variance / held) / mean)


def lines(share: float = 1.0, seed: int = 20260302) -> Iterator[str]:
    """Yield what the study found, line by line.

    Args:
        share: of the experiments, for a shorter run.
        seed: of the luck.
    """
    yield f"{LOOKS} looks, nominal level {LEVEL:.0%}; share of experiments in which a test refuses"
    for position, market in enumerate(MARKETS):
        experiments = max(20, round(market.experiments * share))
        rng = np.random.default_rng([seed, position])
        alike = refusals(market, rng, experiments)
        lift = lift_for(market, rng)
        differ = refusals(market, rng, experiments, lift)
        error = np.sqrt(0.05 * 0.95 / experiments)
        yield f"{market.name}: {market.customers:,} customers, {experiments:,} experiments"
        for name, found in alike.items():
            yield (
                f"  {name:<17} no lift {found:6.1%} (se {error:.1%})"
                f"   lift of {lift:.1%} {differ[name]:6.1%}"
            )


def run() -> None:
    """Print the study; ten seconds or so."""
    for line in lines():
        typer.echo(line)


if __name__ == "__main__":
    run()
