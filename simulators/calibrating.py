"""The command that fits a simulated market to a decision log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from agents.errors import StateError
from agents.load import load_workspace
from simulators.bars import progress_bar
from simulators.calibration.document import world_yaml
from simulators.calibration.fit import Fit, calibrate, runs_of
from simulators.calibration.logged import Logged, read_logged
from simulators.choosing import named
from simulators.market.market import Market
from simulators.worlds import world_class


def calibrate_world(
    log: Annotated[Path, typer.Argument(help="Folder of a decision log, or a Parquet file.")],
    world: Annotated[str, typer.Option(help="The market to start from, or a world's YAML.")],
    out: Annotated[Path, typer.Option(help="File to write the fitted world to, as YAML.")],
    workspace: Annotated[
        Path | None,
        typer.Option(help="Who decided, if there is no revisions/ beside the log."),
    ] = None,
    agent: Annotated[
        str | None, typer.Option(help="Which agent of the workspace, where there are several.")
    ] = None,
    customers: Annotated[int, typer.Option(min=100, help="Simulated in each run.")] = 4_000,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulations.")] = 1,
) -> None:
    """Fit a market to a log and report how well it fits; exits with 1 if a figure is too far."""
    kind = world_class(world)
    if not issubclass(kind, Market):
        raise StateError(
            f"expected a world that is made of a YAML, got {world!r}, whose truth is code; start"
            " from another one, such as 'telecom'"
        )
    if out.suffix not in (".yaml", ".yml"):
        raise StateError(f"--out: expected a name that ends in .yaml, got {out.name!r}")
    revision = None
    if workspace is not None:
        revision = named(load_workspace(workspace).revisions, agent)
    logged = read_logged(log, tuple(kind.spec.outcomes), revision)
    with progress_bar() as bar:
        task = bar.add_task("simulating", total=runs_of(kind))
        fit = calibrate(
            kind, logged, customers=customers, seed=seed,
            progress=lambda done: bar.update(task, completed=done),
        )  # fmt: skip
    _write(fit, logged, out)
    title = f"World {kind.spec.world}, fitted to {logged.decisions.customer.size:,} decisions"
    Console(highlight=False).print(fit.report.table(title))
    verdict = "fits" if fit.report.passed else "does not fit within the limits"
    typer.echo(f"the world {verdict}; wrote {out}")
    if not fit.report.passed:
        raise typer.Exit(1)


def _write(fit: Fit, logged: Logged, out: Path) -> None:
    about = (
        f"Fitted by `nextbest calibrate` to {logged.decisions.customer.size:,} decisions about"
        f" {logged.customers:,} customers\nby revision {logged.revision.id}; version"
        f" {fit.spec.version - 1} of the world was the start."
    )
    try:
        out.write_text(world_yaml(fit.spec, about), encoding="utf-8")
    except OSError as error:
        raise StateError(f"--out: {out} cannot be written: {error.strerror}") from error
