"""Run the study: `python -m experiments.studies.loops`; three minutes on one core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
import typer

from experiments.studies.loops.learners import EPSILON, PERSONALIZER, Original, Ours
from experiments.studies.loops.runner import FIXED, LATE, WAIT, Floats, gained, run
from experiments.studies.loops.world import Shape
from experiments.studies.table import Figure, Study, publish

SHAPES: Mapping[str, tuple[Shape, int]] = {
    "5 actions": (Shape(5), 5_000),
    "15 actions": (Shape(15), 20_000),
    "30 actions": (Shape(30), 5_000),
    "50 actions": (Shape(50), 5_000),
    "15, tastes move": (Shape(15, moves=5_000), 5_000),
    "15, new articles": (Shape(15, newcomers=50), 5_000),
}
"""Loops, and how many decisions are made in each."""

COUNTS = (1_000, 5_000, 20_000)
SEEDS = (1, 2, 3)

OURS, ORIGINAL = "vw_rank", "Personalizer's arguments"


def study(
    shapes: Mapping[str, tuple[Shape, int]] = SHAPES,
    seeds: Sequence[int] = SEEDS,
    counts: Sequence[int] = COUNTS,
) -> Study:
    """Measure.

    Args:
        shapes: by name, with how many decisions are made.
        seeds: at least two.
        counts: of the first decisions over which is averaged.
    """
    rows: dict[str, list[Figure | None]] = {}
    for title, (shape, count) in shapes.items():
        runs = [run(shape, {OURS: Ours(), ORIGINAL: Original()}, count, seed) for seed in seeds]
        told = [size for size in counts if size <= count]
        for name in (OURS, ORIGINAL, FIXED):
            rows[f"{title}: {name}"] = [_figure(runs, name, size) for size in told]
    most = 100.0 * (1.0 - EPSILON)
    return Study(
        name="loops",
        title=f"Share of what can be gained, percent, mean over {len(seeds)} seeds +- std. error",
        columns=tuple(f"first {count:,}" for count in counts),
        rows=rows,
        notes=(
            "100 (learner - uniform) / (best - uniform) in true expected rewards, every decision",
            f"both draw {EPSILON:g} of the decisions by chance: {most:g} is the most there is",
            "best fixed order: the articles by what they truly earn at the time, told to nobody",
            f"each decision is learned once, {WAIT} decisions later;"
            f" {LATE:.0%} of rewards too late",
            f"Personalizer's arguments: {' '.join(PERSONALIZER)}",
        ),
        params={"seeds": str(list(seeds)), "wait": str(WAIT)},
    )


def _figure(runs: Sequence[Mapping[str, Floats]], name: str, count: int) -> Figure:
    found = np.array([gained(earned, name, count) for earned in runs])  # (S,)
    return Figure(float(found.mean()), float(found.std(ddof=1)) / len(found) ** 0.5)


def main(
    long: Annotated[
        bool, typer.Option(help="20,000 decisions in every loop; eight minutes")
    ] = False,
) -> None:
    """Print what each side gains, and what an order that never changes would."""
    shapes = {
        name: (shape, COUNTS[-1] if long else count) for name, (shape, count) in SHAPES.items()
    }
    publish(study(shapes))


if __name__ == "__main__":
    typer.run(main)
