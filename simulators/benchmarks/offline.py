"""How long a whole population takes offline, with a policy that learns every night.

Run as `python -m simulators.benchmarks.offline`; the bar is 100,000 customers over 90 days in 300
seconds and 4 GiB. Decisions are made at the world's own pace, or as often as `--every` says.
"""

from __future__ import annotations

import argparse
import math
import resource
import sys
import time
from dataclasses import dataclass
from datetime import timedelta

from agents.units import parse_duration
from policies.registry import create_policy
from simulators.examples import example_revision
from simulators.market.market import Market
from simulators.offline.play import play
from simulators.offline.record import Played
from simulators.worlds.telecom import Telecom

SECONDS, GIB = 300.0, 4.0
_FEW = 200  # customers with whom everything is compiled before the clock starts


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run took.

    Args:
        decisions: made.
        seconds: by the clock.
        processor_seconds: of all cores together.
        gib: of memory at most, compiled code and libraries included.
    """

    decisions: int
    seconds: float
    processor_seconds: float
    gib: float

    @property
    def reached(self) -> bool:
        """Whether the bar is reached; it is meant for 100,000 customers over 90 days."""
        return self.seconds < SECONDS and self.gib < GIB


def measure(customers: int, days: int, every: timedelta) -> Measured:
    """Let the default learner live through the telecom world.

    Args:
        customers: how many.
        days: how long.
        every: from one decision about a customer to the next, whole days.
    """
    _played(_FEW, 3, every)
    start, busy = time.perf_counter(), time.process_time()
    played = _played(customers, math.ceil(timedelta(days=days) / every), every)
    return Measured(
        len(played.decided.action), time.perf_counter() - start, time.process_time() - busy,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    )  # fmt: skip


def _played(customers: int, rounds: int, every: timedelta) -> Played:
    market: Market = Telecom(example_revision(), customers=customers, rounds=rounds, every=every)
    return play(market, create_policy(market.revision), truth=False)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and return 1 if the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--every", type=parse_duration, default=Telecom.spec.every)
    asked = parser.parse_args(arguments)
    found = measure(asked.customers, asked.days, asked.every)
    sys.stdout.write(
        f"{asked.customers:,} customers x {asked.days} days, {found.decisions:,} decisions:"
        f" {found.seconds:.0f} s ({SECONDS:.0f}), {found.processor_seconds:.0f} s of processors,"
        f" {1e6 * found.processor_seconds / found.decisions:.1f} us a decision,"
        f" {found.gib:.2f} GiB ({GIB:.0f})\n"
    )
    return 0 if found.reached else 1


if __name__ == "__main__":
    sys.exit(main())
