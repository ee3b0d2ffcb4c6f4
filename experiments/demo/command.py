"""The command that shows it all at work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from experiments.demo.closing import closing_table
from experiments.demo.run import Demo, run_demo
from experiments.training import track_demo

_DEMO_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeRemainingColumn(),
)


def demo_command(
    folder: Annotated[Path, typer.Option(help="Where everything is kept.")] = Path("runs/demo"),
    customers: Annotated[int, typer.Option(min=100, help="Simulated customers.")] = 4_000,
    rounds: Annotated[int, typer.Option(min=1, help="Weeks, one decision each.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Another market of the same kind.")] = 1,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests at a time.")] = 8,
    replace: Annotated[bool, typer.Option(help="Remove an earlier run in the folder.")] = False,
    track: Annotated[
        Path | None, typer.Option(help="Folder in which to record an MLflow run.")
    ] = None,
) -> None:
    """Watch it work: serve, simulate customers over HTTP, learn, re-check, evaluate."""
    console = Console(highlight=False)
    plan = Demo(folder, customers, rounds, seed, concurrency)
    if replace:
        plan.remove()
    with Progress(*_DEMO_COLUMNS, console=console, transient=True) as bar:
        task = bar.add_task("decisions", total=customers * rounds)
        closing = run_demo(plan, console.print, lambda done: bar.update(task, completed=done))
    console.print(closing_table(closing))
    typer.echo(f"the decision log: {plan.log / 'decisions.parquet'}")
    if track is not None:
        track_demo(plan, closing, track)
