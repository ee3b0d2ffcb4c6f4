"""The commands of the room, and the one that lets a policy learn in a simulated market."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from agents.errors import StateError
from agents.groups import Group
from agents.revision import Revision
from policies.registry import create_policy, policy_class
from simulators.bars import progress_bar
from simulators.calibrating import calibrate_world
from simulators.choosing import choose_agents, named
from simulators.driving import drive_world
from simulators.options import Every, Seed, WorkspaceFolder, WorldName
from simulators.results import LOG_FILE, Rollout
from simulators.rollout import rollout
from simulators.sizing import world_size
from simulators.truth import KnownValue, realised_value, value_of_none, value_of_uniform
from simulators.world import World
from simulators.worlds import create_world, default_world

app = typer.Typer()
app.command("drive")(drive_world)
app.command("calibrate")(calibrate_world)

_PER = 1_000.0
_ROUNDS = 6
_LOG_KEY = b"simulated customers"  # nobody real is behind these hashes


@app.command()
def simulate(
    workspace: WorkspaceFolder = None,
    agent: Annotated[
        str | None, typer.Option(help="Which agent decides; needed where there are several.")
    ] = None,
    world: WorldName = None,
    customers: Annotated[int, typer.Option(min=1, help="How many customers.")] = 3_000,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Decisions per customer.", show_default="6")
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, help="How long it lasts, in place of --rounds.")
    ] = None,
    every: Every = None,
    seed: Seed = 1,
    policy: Annotated[
        str | None, typer.Option(help="A learner in place of the agent's own, such as 'uniform'.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(help="Folder to write the decision log to, as Parquet.")
    ] = None,
) -> None:
    """Let a policy learn in a market with known truth, and show what each group earned."""
    revisions = choose_agents(workspace, world)
    revision = _with_learner(named(revisions, agent), policy)
    learner, name = create_policy(revision), world or default_world(revision)
    rounds = _ROUNDS if rounds is None and days is None else rounds
    size = world_size(name, customers=customers, seed=seed, rounds=rounds, days=days, every=every)
    market = create_world(name, revision, **size)
    if log is not None:
        _make_folder(log)
    console = Console(highlight=False)
    with progress_bar() as progress:
        task = progress.add_task("deciding", total=customers * market.rounds)
        run = rollout(market, learner, progress=lambda done: progress.update(task, completed=done))
        progress.update(task, description="known truth", total=None)
        truth = value_of_none(market), value_of_uniform(market, repeats=1)
    console.print(_table(market, run, learner.name, *truth))
    if log is not None:
        try:
            run.write(log, _LOG_KEY)
        except OSError as error:
            raise StateError(f"--log: {log} cannot be written: {error.strerror}") from error
        typer.echo(f"wrote {len(run.decisions):,} decisions to {log / LOG_FILE}")


def _with_learner(revision: Revision, learner: str | None) -> Revision:
    """Return the agent; with another learner than its own, it is another revision."""
    if learner is None or learner == revision.agent.policy.learner:
        return revision
    policy_class(learner)  # an unknown name is an error here
    policy = revision.agent.policy.model_copy(update={"learner": learner, "settings": {}})
    agent = revision.agent.model_copy(update={"policy": policy})
    return Revision(revision.workspace, agent)


def _make_folder(log: Path) -> None:
    """Make the log's folder now: whether it can be written is no news for the end of a long run."""
    try:
        log.mkdir(parents=True, exist_ok=True)
        if not os.access(log, os.W_OK) or (log / LOG_FILE).is_dir():
            raise StateError(f"--log: {log} cannot be written; name another folder")
    except OSError as error:
        raise StateError(f"--log: {log} cannot be written: {error.strerror}") from error


def _table(world: World, run: Rollout, policy: str, none: KnownValue, uniform: KnownValue) -> Table:
    """Lay what each group earned beside the truth, per 1,000 customers."""
    unit = world.revision.workspace.currency
    title = f"Reward in {unit} per 1,000 customers, agent {world.revision.agent.agent}"
    table = Table(title=f"{title}, world {world.name}", title_justify="left")
    table.box, table.pad_edge = box.SIMPLE_HEAD, False
    for name in ("group", "policy"):
        table.add_column(name, no_wrap=True)
    for name in ("customers", "earned", "truth", "none", "uniform"):
        table.add_column(name, justify="right")
    choosers = {Group.TREATMENT: policy, Group.RANDOM: "uniform", Group.CONTROL: "none"}
    rewards, values = run.rewards(), realised_value(run.expected, run.actions)  # (N,) each
    for group, chooser in choosers.items():
        rows = run.in_group(group)  # (N,)
        people = np.unique(run.customers[rows])
        if len(people):
            found = [
                rewards[rows].sum() / len(people),
                values[rows].sum() / len(people),
                none.per_customer[people].mean(),
                uniform.per_customer[people].mean(),
            ]
            figures = [f"{_PER * figure:,.0f}" for figure in found]
            table.add_row(str(group), chooser, f"{len(people):,}", *figures)
    table.caption = (
        "truth: expected value, free of the luck of outcomes; none, uniform: what the same"
        " customers would truly have been worth under that policy"
    )
    table.caption_justify = "left"
    return table
