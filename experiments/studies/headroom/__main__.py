"""Run the study: `python -m experiments.studies.headroom`, with `--help` for what to leave out."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.studies.headroom.run import (
    DEVELOPMENT,
    REPORT,
    delay_study,
    methods,
    study,
    worlds,
)
from experiments.studies.table import publish

_DELAY = "delay"


def _chosen(given: list[str] | None, known: list[str], what: str) -> list[str]:
    unknown = set(given or ()) - set(known)
    if unknown:
        raise typer.BadParameter(f"no {what} {', '.join(sorted(unknown))}; known: {known}")
    return given or known


def main(
    quick: Annotated[bool, typer.Option(help="two seeds of 1,000 decisions: does it run?")] = False,
    tune: Annotated[bool, typer.Option(help="development seeds, not those of reports")] = False,
    seeds: Annotated[int, typer.Option(help="how many of them", min=1, max=10)] = 10,
    world: Annotated[list[str] | None, typer.Option(help="only these; repeat it")] = None,
    method: Annotated[list[str] | None, typer.Option(help="only these; repeat it")] = None,
) -> None:
    """Print how much of the headroom each method captures on each world."""
    makes, runs = worlds(quick=quick), methods()
    named = _chosen(world, [*makes, _DELAY], "world")
    chosen = {name: runs[name] for name in _chosen(method, list(runs), "method")}
    few = list(DEVELOPMENT if tune else REPORT)[: 2 if quick else seeds]
    main_worlds = {name: makes[name] for name in named if name != _DELAY}
    if main_worlds:
        publish(study(main_worlds, chosen, few))
    if _DELAY in named:
        publish(delay_study(["hybrid_thompson"], few, quick=quick))


if __name__ == "__main__":
    typer.run(main)
