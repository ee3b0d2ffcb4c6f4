"""Measure coverage: `python -m experiments.studies.coverage`; some six minutes, `--quick` for less.

For each kind of log and each target it prints how often each interval held the truth at a nominal
95%, and its mean width over the truth; then whether the default one does what it promises.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import typer

from experiments.evaluate import DEFAULT_INTERVAL
from experiments.studies.coverage.measure import (
    LEVEL,
    Cell,
    Covered,
    Found,
    measure,
    standard_error,
)
from experiments.studies.coverage.worlds import Kind

SIZES = {1_000: 400, 10_000: 400, 100_000: 100}
QUICK = {1_000: 40, 10_000: 20}
SEED = 20260312
LEAST, WIDEST = 0.93, 1.3
"""What the default interval promises: this coverage, at so many times the narrowest's width."""


def lines(sizes: dict[int, int], seed: int = SEED) -> Iterator[str]:
    """Yield what the study finds, line by line; each kind of log as soon as it is measured.

    Args:
        sizes: number of logs of each kind, by their number of decisions.
        seed: of worlds and logs.
    """
    yield f"Coverage in % +- standard error | mean width over truth; nominal {LEVEL:.0%}"
    found = Found({}, {})
    for kind in get_args(Kind):
        new = measure(sizes, seed, kinds=(kind,))
        yield from _table(new)
        found = Found({**found.once, **new.once}, {**found.always, **new.always})
    yield from _sequences(found)
    yield from verdict(found)


def _table(found: Found) -> Iterator[str]:
    for kind, target in dict.fromkeys((cell.kind, cell.target) for cell in found.once):
        cells = [cell for cell in found.once if (cell.kind, cell.target) == (kind, target)]
        heads = (f"{cell.n:,} ({_logs(found.once[cell])} logs)" for cell in cells)
        yield f"{kind}, {target}".ljust(18) + "".join(head.rjust(23) for head in heads)
        for row in found.once[cells[0]]:
            yield f"  {row:<16}" + "".join(_told(found.once[cell][row]).rjust(23) for cell in cells)


def verdict(found: Found) -> Iterator[str]:
    """Yield whether the default interval covers, and how wide it is beside the narrowest."""
    own = [
        (covered, row, cell)
        for cell, rows in found.once.items()
        for row, covered in rows.items()
        if row.split()[0] == DEFAULT_INTERVAL.name
    ]
    covered, row, cell = min(own, key=lambda each: each[0].share)
    yield f"{row}: least coverage {_share(covered)} ({_name(cell)}), promised {LEAST:.0%}"
    beside = [
        (each.beside, row, cell)
        for cell, rows in found.once.items()
        for row, each in rows.items()
        if each.share >= LEAST
    ]
    ratio, row, cell = max(beside)
    yield (
        f"{DEFAULT_INTERVAL.name}: at most {ratio:.2f} times as wide as the narrowest that covers"
        f" ({row}: {_name(cell)}), promised {WIDEST:g}"
    )


def _sequences(found: Found) -> Iterator[str]:
    yield "Held the truth at all of 8 looks, over all targets and kinds of log"
    rows = dict.fromkeys(row for cell in found.always.values() for row in cell)
    for row in rows:
        parts = []
        for n in dict.fromkeys(cell.n for cell in found.always):
            cells = [each[row] for cell, each in found.always.items() if cell.n == n]
            share = sum(each.share for each in cells) / len(cells)
            logs = sum(each.logs for each in cells)
            error = standard_error(share, logs)
            parts.append(f"{n:,}: {100 * share:.1f} +- {100 * error:.1f}".rjust(24))
        yield f"  {row:<16}" + "".join(parts)


def _logs(rows: dict[str, Covered]) -> int:
    return max(each.logs for each in rows.values())


def _share(covered: Covered) -> str:
    return f"{100 * covered.share:.1f} +- {100 * covered.error:.1f}"


def _told(covered: Covered) -> str:
    return f"{_share(covered)} | {covered.width:.2f}"


def _name(cell: Cell) -> str:
    return f"{cell.kind}, {cell.target}, {cell.n:,}"


def run(*, quick: bool = False) -> None:
    """Measure and print."""
    for line in lines(QUICK if quick else SIZES):
        typer.echo(line)


def main(*, quick: bool = False) -> None:
    """Measure coverage; `--quick` with few and short logs."""
    run(quick=quick)


if __name__ == "__main__":
    typer.run(main)
