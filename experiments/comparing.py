"""The command that compares policies and guardrail sets on the same customers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from agents.errors import StateError
from agents.load import compile_agent
from agents.revision import Revision
from experiments.tracking import DATABASE, open_tracking, record_run
from simulators.bars import progress_bar
from simulators.choosing import choose_agents, named
from simulators.compare import Arm, Comparison, arm, compare, distinct
from simulators.compare.arms import with_learner, without_guardrails
from simulators.compare.plot import check_plot, draw_plot
from simulators.compare.table import comparison_table
from simulators.options import Every, Seed, WorkspaceFolder, WorldName
from simulators.sizing import world_size
from simulators.world import WorldOptions
from simulators.worlds import default_world

EXPERIMENT = "comparisons"

_OTHERS: list[str] = ["uniform"]


def compare_command(
    workspace: WorkspaceFolder = None,
    agent: Annotated[
        list[str] | None, typer.Option(help="Which agent; repeatable, the first is compared with.")
    ] = None,
    world: WorldName = None,
    policy: Annotated[
        list[str], typer.Option(help="A learner in place of the first agent's own; repeatable.")
    ] = _OTHERS,
    file: Annotated[
        list[Path] | None,
        typer.Option(help="Another version of an agent, a YAML file; repeatable."),
    ] = None,
    without_rules: Annotated[
        bool, typer.Option("--without-guardrails", help="Also the first agent with none.")
    ] = False,
    customers: Annotated[int, typer.Option(min=2, help="How many customers.")] = 1_000,
    days: Annotated[int, typer.Option(min=1, help="How long it lasts.")] = 90,
    every: Every = None,
    seed: Seed = 1,
    check: Annotated[
        bool,
        typer.Option(
            help="Verify every decision against the YAML; --no-check is many times as fast."
        ),
    ] = True,
    plot: Annotated[Path | None, typer.Option(help="Picture to draw, .png or .svg.")] = None,
    track: Annotated[
        Path | None, typer.Option(help="Folder in which to record an MLflow run.")
    ] = None,
) -> None:
    """Compare policies, guardrails or agents on the very same simulated customers.

    Each lives with the same customers and the same luck, so that small
    differences show; beside them nobody contacted, and an oracle.
    """
    revisions = choose_agents(workspace, world)
    chosen = [named(revisions, name) for name in agent or ()] or [named(revisions, None)]
    arms = _arms(chosen, policy, file or (), without_rules=without_rules)
    market = world or default_world(arms[0].revision)
    size = world_size(market, customers=customers, seed=seed, days=days, every=every)
    if plot is not None:
        check_plot(plot)
    if track is not None:
        open_tracking(track)  # that it cannot be written is no news for the end of a long run
    found = _compare(market, arms, size, checked=check)
    Console(markup=False, highlight=False).print(comparison_table(found))
    if plot is not None:
        draw_plot(found, plot)
        typer.echo(f"drawn in {plot}")
    if track is not None:
        track_comparison(found, track, plot)


def _arms(
    chosen: Sequence[Revision],
    learners: Sequence[str],
    files: Sequence[Path],
    *,
    without_rules: bool,
) -> tuple[Arm, ...]:
    first = arm(chosen[0])
    arms = [first, *(arm(other) for other in chosen[1:])]
    arms += [with_learner(first, name) for name in learners]
    arms += [without_guardrails(first)] if without_rules else []
    return distinct(arms + [_of_file(path, chosen[0]) for path in files])


def _compare(market: str, arms: Sequence[Arm], size: WorldOptions, *, checked: bool) -> Comparison:
    with progress_bar() as bar:
        task = bar.add_task("", total=size["customers"] * size["rounds"])
        return compare(
            market, arms, **size, checked=checked,
            told=lambda name, done: bar.update(task, description=name, completed=done),
        )  # fmt: skip


def _of_file(path: Path, beside: Revision) -> Arm:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise StateError(f"--file: {path} cannot be read: {error.strerror}") from error
    return arm(compile_agent(text, str(path), beside.workspace), path.stem)


def track_comparison(found: Comparison, folder: Path, plot: Path | None) -> str:
    """Record a comparison as one MLflow run with its plot, and return the run's id.

    Metrics are named `ARM.FIGURE`, `.stderr`, `.difference` and `.difference_stderr`.

    Args:
        found: the comparison.
        folder: where the runs are kept.
        plot: the picture of it, None if there is none.

    Raises:
        StateError: the folder cannot be made or written.
    """
    client = open_tracking(folder)
    metrics = {
        f"{_word(name)}.{key}{suffix}": value
        for name, figures in found.figures.items()
        for key, figure in figures.items()
        for suffix, value in (
            ("", figure.value), (".stderr", figure.error),
            (".difference", figure.difference), (".difference_stderr", figure.difference_error),
        )
        if math.isfinite(value)
    }  # fmt: skip
    params = {
        "world": found.world, "arms": ", ".join(found.figures), "customers": str(found.customers),
        "rounds": str(found.rounds), "seed": str(found.seed),
    }  # fmt: skip
    run = record_run(
        client, EXPERIMENT, f"{found.world}, seed {found.seed}",
        metrics=metrics, params=params, tags={},
    )  # fmt: skip
    if plot is not None:
        client.log_artifact(run, str(plot))
    typer.echo(f"recorded in {folder / DATABASE}")
    return run


def _word(name: str) -> str:
    """Write an arm's name with the characters that a metric's may have."""
    return "".join(c if c.isalnum() or c in "_-" else "_" for c in name.replace(": ", "-"))
