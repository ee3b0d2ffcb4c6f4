"""The command that drives a simulated market against a running server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from agents.errors import StateError
from agents.groups import Group
from simulators.bars import progress_bar
from simulators.choosing import choose_agents, named
from simulators.drive import drive
from simulators.driven import Driven, DriveResult, write_truth
from simulators.options import Seed
from simulators.sizing import world_size
from simulators.traffic import Traffic
from simulators.world import World
from simulators.worlds import create_world, default_world

_PER = 1_000.0
_KEY = "NEXTBEST_API_KEY"


def drive_world(
    url: Annotated[str, typer.Option(help="The server, started with --clock driven.")],
    workspace: Annotated[
        Path | None,
        typer.Option(help="The workspace folder that it serves.", show_default="workspace"),
    ] = None,
    agent: Annotated[
        str | None, typer.Option(help="Which agent is asked; needed where there are several.")
    ] = None,
    world: Annotated[
        str | None,
        typer.Option(help="Which market, or a world's YAML.", show_default="one that suits"),
    ] = None,
    customers: Annotated[int, typer.Option(min=1, help="How many customers.")] = 1_000,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Decisions per customer.", show_default="the world's")
    ] = None,
    seed: Seed = 1,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests under way at once.")] = 8,
    burst: Annotated[
        float, typer.Option(min=0, max=1, help="Share of each moment's requests sent at once.")
    ] = 0.0,
    twice: Annotated[
        float, typer.Option(min=0, max=1, help="Share of decisions asked twice under one key.")
    ] = 0.0,
    batch: Annotated[
        int, typer.Option(min=0, max=10_000, help="Customers in one request; 0: one by one.")
    ] = 0,
    truth: Annotated[
        Path | None, typer.Option(help="File to write what the world knows to, as Parquet.")
    ] = None,
) -> None:
    """Let a simulated market's customers meet a running server over HTTP."""
    revision = named(choose_agents(workspace, world), agent)
    name = world or default_world(revision)
    size = world_size(name, customers=customers, seed=seed, rounds=rounds)
    market = create_world(name, revision, **size)
    traffic = Traffic(concurrency=concurrency, burst=burst, twice=twice, batch=batch)
    _drive(market, url, traffic, truth)


def _drive(world: World, url: str, traffic: Traffic, truth: Path | None) -> None:
    if truth is not None and not os.access(truth.absolute().parent, os.W_OK):
        raise StateError(f"--truth: {truth} cannot be written; name a file in a folder that is")
    with progress_bar() as bar:
        task = bar.add_task("deciding", total=world.customers * world.rounds)
        result = drive(
            world, url, agent=world.revision.agent.agent, traffic=traffic,
            api_key=os.environ.get(_KEY), progress=lambda done: bar.update(task, completed=done),
        )  # fmt: skip
    show(world, result, Console(highlight=False))
    if truth is not None:
        write_truth(result, truth)
        typer.echo(f"wrote what the world knows of {len(result.decisions):,} decisions to {truth}")


def show(world: World, result: DriveResult, console: Console) -> None:
    """Print what each group was truly worth, and how the server bore it."""
    unit, agent = world.revision.workspace.currency, world.revision.agent.agent
    table = Table(
        title=f"True expected reward in {unit} per 1,000 decisions, agent {agent}, world"
        f" {world.name}",
        title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False,
    )  # fmt: skip
    for column in ("group", "decisions", "earned", "none"):
        table.add_column(column, justify="left" if column == "group" else "right")
    for group in Group:
        made = [d for d in result.decisions if d.group == group]
        if made:
            table.add_row(str(group), f"{len(made):,}", *_worth(world, made))
    table.caption, table.caption_justify = (
        "none: of doing nothing at the same moments",
        "left",
    )
    console.print(table)
    half, most = np.quantile(result.latencies_ms, [0.5, 0.99])
    told = len(result.outcomes)
    double = told - len({event.outcome_id for event in result.outcomes})
    console.print(
        f"{len(result.decisions) / result.seconds:,.0f} decisions per second; p50 {half:.1f} ms,"
        f" p99 {most:.1f} ms; {told:,} outcomes told, {double:,} of them twice;"
        f" {result.repeated:,} decisions asked twice; {result.again:,} requests sent again",
        soft_wrap=True,
    )


def _worth(world: World, made: Sequence[Driven]) -> list[str]:
    """Return what was earned, and what doing nothing would have; empty if that is no action."""
    expected = np.stack([d.expected for d in made])  # (N, A)
    taken = expected[np.arange(len(made)), [d.action for d in made]]
    none = [place for place, action in enumerate(world.revision.actions) if action.is_none]
    idle = [f"{_PER * expected[:, place].mean():,.0f}" for place in none] or [""]
    return [f"{_PER * taken.mean():,.0f}", *idle]
