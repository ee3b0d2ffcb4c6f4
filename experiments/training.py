"""The command that teaches a learner in a simulated market and keeps what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import orjson
import typer

from agents.errors import StateError
from agents.groups import Group
from agents.revision import Revision
from experiments.demo.closing import Closing
from experiments.demo.run import AGENT as DEMO_AGENT
from experiments.demo.run import Demo
from experiments.logs import fingerprint
from experiments.tracking import (
    DATABASE,
    Training,
    open_tracking,
    record_demo,
    record_training,
    register,
)
from experiments.tracking.commands import read_file
from policies.base import Policy
from policies.registered import MODEL_FILE
from policies.registry import create_policy, policy_class
from policies.snapshot import Manifest, seal
from simulators.bars import progress_bar
from simulators.choosing import choose_agents, named
from simulators.options import Every, Seed, WorkspaceFolder, WorldName
from simulators.results import Rollout
from simulators.rollout import rollout
from simulators.sizing import world_size
from simulators.world import World
from simulators.worlds import create_world, default_world

_PER = 1_000.0
_LOG_KEY = b"simulated customers"  # nobody real is behind these hashes


def train_command(
    track: Annotated[Path, typer.Option(help="Folder in which to record the MLflow run.")],
    workspace: WorkspaceFolder = None,
    agent: Annotated[
        str | None, typer.Option(help="Which agent learns; needed where there are several.")
    ] = None,
    world: WorldName = None,
    policy: Annotated[
        str | None, typer.Option(help="A learner in place of the agent's own.")
    ] = None,
    customers: Annotated[int, typer.Option(min=1, help="How many customers.")] = 3_000,
    rounds: Annotated[int, typer.Option(min=1, help="Decisions per customer.")] = 6,
    every: Every = None,
    seed: Seed = 1,
    log: Annotated[
        Path | None, typer.Option(help="Folder to write the decision log to, as Parquet.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Key file to sign the snapshot with; also registers it.")
    ] = None,
    alias: Annotated[str, typer.Option(help="Name that is to point to the registered model.")] = "",
) -> None:
    """Teach a learner in a simulated market, and record it as an MLflow run.

    With --key what it has learned is signed, kept with the run and registered
    as a model, for a server with the same key to begin from.
    """
    if alias and key is None:
        raise StateError(
            "--alias: expected --key FILE too, which the registered model is signed with"
        )
    secret = None if key is None else read_file(key)
    client = open_tracking(track)  # that it cannot be written is no news for the end of a long run
    revision = named(choose_agents(workspace, world), agent)
    if policy is not None:
        revision = _with_learner(revision, policy)
    name = world or default_world(revision)
    size = world_size(name, customers=customers, seed=seed, rounds=rounds, every=every)
    learner = create_policy(revision)
    run = _teach(create_world(name, revision, **size), learner)
    training = Training(run, name, seed, "" if log is None else _write(run, log))
    recorded = record_training(client, training)
    typer.echo(_told(training, learner))
    typer.echo(f"recorded in {track / DATABASE}, run {recorded}")
    if secret is not None:
        taught = int((~run.in_group(Group.CONTROL)).sum())
        data = sealed(learner, revision, taught, secret)
        model = register(client, data, secret, revision.agent.agent, alias=alias, run=recorded)
        typer.echo(f"registered: {model.agent} version {model.version}, {MODEL_FILE} in that run")


def _told(training: Training, learner: Policy) -> str:
    run = training.run
    earned = _PER * run.rewards().sum() / len(np.unique(run.customers))
    return (
        f"{learner.name} has learned from {len(run.decisions):,} decisions in {training.world};"
        f" they earned {earned:,.0f} {run.revision.workspace.currency} per 1,000 customers"
    )


def sealed(policy: Policy, revision: Revision, lessons: int, key: bytes) -> bytes:
    """Return what a policy has learned outside any ledger as a sealed snapshot, at position 0.

    Args:
        policy: taught.
        revision: that it was taught under.
        lessons: number of decisions that it was taught.
        key: to sign it with.
    """
    state = policy.to_bytes()
    manifest = Manifest.of(
        state, policy=policy.name, agent=revision.agent.agent, revision=revision.id,
        position=0, lessons=lessons,
    )  # fmt: skip
    return seal(manifest, state, key)


def track_demo(demo: Demo, closing: Closing, folder: Path) -> None:
    """Record a demo as a run, and register what its learner knew at the end.

    Raises:
        StateError: the folder cannot be made or written.
        SnapshotError: the demo's snapshot cannot be read.
    """
    client = open_tracking(folder)
    told = {"closing.json": orjson.dumps(closing.to_record(), option=orjson.OPT_INDENT_2)}
    run = record_demo(client, demo, closing, artifacts=told)
    newest = max((demo.data / "snapshots" / DEMO_AGENT).glob("*.snapshot"))
    key = read_file(demo.data / "keys" / "snapshot.key")
    model = register(client, read_file(newest), key, DEMO_AGENT, run=run)
    typer.echo(f"recorded in {folder / DATABASE}; {model.agent} version {model.version} registered")


def _with_learner(revision: Revision, learner: str) -> Revision:
    """Return the same agent with another learner, which is another revision."""
    policy_class(learner)  # an unknown name is an error here
    policy = revision.agent.policy.model_copy(update={"learner": learner, "settings": {}})
    return Revision(revision.workspace, revision.agent.model_copy(update={"policy": policy}))


def _teach(world: World, learner: Policy) -> Rollout:
    with progress_bar() as bar:
        task = bar.add_task("learning", total=world.customers * world.rounds)
        return rollout(world, learner, progress=lambda done: bar.update(task, completed=done))


def _write(run: Rollout, folder: Path) -> str:
    try:
        run.write(folder, _LOG_KEY)
    except OSError as error:
        raise StateError(f"--log: {folder} cannot be written: {error.strerror}") from error
    return fingerprint(folder)
