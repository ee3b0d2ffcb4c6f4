"""Measure the simulators, each figure beside its limit: `python -m simulators.benchmarks`.

Takes about a minute. With `--full` the offline run has the size of its bar, 100,000 customers.
"""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from simulators.benchmarks import offline, population

_FEWER = 20_000


def main(arguments: list[str] | None = None) -> int:
    """Run both benchmarks, and return 1 if any bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="offline, 100,000 customers")
    full = parser.parse_args(arguments).full
    # offline first: its memory is the most that the process has had so far
    missed = offline.main([] if full else ["--customers", str(_FEWER)])
    kept = population.measure(Console())
    return 0 if kept and not missed else 1


if __name__ == "__main__":
    sys.exit(main())
