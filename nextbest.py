"""The command line: the rooms' commands, each imported when it is asked for."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypeAlias, cast

import typer
from typer.core import TyperCommand, TyperGroup

from agents.errors import NextbestError

Command: TypeAlias = TyperCommand | TyperGroup

_COMMANDS: Mapping[str, tuple[str, str]] = {
    "init": (
        "agents.commands:init",
        "Write an example workspace: YAML that you can read, change and serve.",
    ),
    "schema": (
        "agents.commands:schema",
        "Write the JSON Schema of both kinds of file, for editors.",
    ),
    "diff": (
        "agents.commands:show_diff",
        "Say in words what a change of a workspace does, and whom it reaches.",
    ),
    "check": (
        "policies.commands:check",
        "Check a workspace: every error names file, line, column and the way out.",
    ),
    "audit": (
        "serving.security.commands:audit",
        "Check the audit log from its first row to its last; the server may run.",
    ),
    "deploy": (
        "serving.running.operations:deploy",
        "Write a Ray Serve config file and a KubeRay manifest; the ledger is PostgreSQL.",
    ),
    "learn": (
        "serving.running.operations:learn",
        "Run the learner by itself, where replicas run elsewhere, until Ctrl-C.",
    ),
    "submit": (
        "serving.life.submit:submit",
        "Check a workspace, show what it would change on a server, ask, and submit it.",
    ),
    "serve": (
        "serving.commands:serve",
        "Serve decisions over HTTP on Ray Serve, learning as outcomes arrive, until Ctrl-C.",
    ),
    "decide": (
        "serving.commands:decide",
        "Make one decision and show why: each action's probability, or what barred it.",
    ),
    "export": (
        "serving.commands:export",
        "Write the decision log as Parquet, with the revisions that decided; the server may run.",
    ),
    "scrub": (
        "serving.commands:scrub",
        "Overwrite on disk what was removed from the ledger, all of it; stop the server before.",
    ),
    "warm-start": (
        "serving.commands:warm_start",
        "Let an agent's learner begin with what a logged history teaches, before it is served.",
    ),
    "drive": (
        "simulators.driving:drive_world",
        "Let a simulated market's customers meet a running server over HTTP.",
    ),
    "calibrate": (
        "simulators.calibrating:calibrate_world",
        "Fit a market to a log and report how well it fits; exits with 1 if a figure is too far.",
    ),
    "simulate": (
        "simulators.commands:simulate",
        "Let a policy learn in a market with known truth, and show what each group earned.",
    ),
    "evaluate": (
        "experiments.asking.command:evaluate_command",
        "Value policies from a decision log alone, and compare the groups it holds.",
    ),
    "compare": (
        "experiments.comparing:compare_command",
        "Compare policies, guardrails or agents on the very same simulated customers.",
    ),
    "lift": (
        "experiments.lift.command:lift_command",
        "See what treated customers brought more than control, at any time you like.",
    ),
    "power": (
        "experiments.power.command:power_command",
        "Say how many customers a lift needs to be seen, or what lift they can show.",
    ),
    "fairness": (
        "experiments.fairness.command:fairness_command",
        "Compare how declared groups of customers are reached, and what that is worth to them.",
    ),
    "train": (
        "experiments.training:train_command",
        "Teach a learner in a simulated market, and record it as an MLflow run.",
    ),
    "what-if": (
        "experiments.what_if.command:what_if_command",
        "See what another guardrail would have done, from the log of what was done.",
    ),
    "gate": (
        "experiments.gate.command:gate_command",
        "Decide whether a candidate may take over, by what it surely brings.",
    ),
    "demo": (
        "experiments.demo.command:demo_command",
        "Watch it work: serve, simulate customers over HTTP, learn, re-check, evaluate.",
    ),
    "quality": (
        "experiments.logs.command:quality_command",
        "Look at a decision log before it is believed: what it holds, and every row that is wrong.",
    ),
    "export-dsjson": (
        "experiments.logs.command:export_dsjson_command",
        "Write a decision log as DSJSON, for Vowpal Wabbit and its tools.",
    ),
    "keys": (
        "serving.security.commands:keys",
        "API keys of a running server; the caller's own is in NEXTBEST_API_KEY or --key-file.",
    ),
    "import": (
        "experiments.logs.command:app",
        "Bring decision logs of other systems in, checked row by row.",
    ),
    "models": (
        "experiments.tracking.commands:app",
        "Learned policies in the MLflow model registry.",
    ),
}
"""Where each command is, and what `nextbest --help` says of it: the docstring's first line."""


class _Later(Mapping[str, Command]):
    """The commands by name; one is imported when it is looked up."""

    def __getitem__(self, name: str) -> Command:
        return _load(name, _COMMANDS[name][0])

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)


@cache
def _load(name: str, place: str) -> Command:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    own = typer.Typer()
    if isinstance(found, typer.Typer):
        own.add_typer(found, name=name)
    else:
        own.command(name)(found)
    return cast("Command", typer.main.get_group(own).commands[name])


class _Group(TyperGroup):
    """All commands; the listing of them imports none."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = cast("dict[str, Any]", _Later())  # nothing is ever added

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help from what is known without the commands."""
        listing = copy.copy(self)
        listing.commands = {
            name: TyperCommand(name, help=line) for name, (_, line) in _COMMANDS.items()
        }
        TyperGroup.format_help(listing, ctx, formatter)


app = typer.Typer(
    cls=_Group,
    help="Next-best-action decisions inside hard guardrails, with exact propensities.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nextbest {version('nextbest')}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Next-best-action decisions inside hard guardrails, with exact propensities."""
    context.obj = _teach


def _teach(workspace: Path, log: Path, agent: str, data: Path) -> int:
    """Teach a loop what `nextbest import` has read: the one room may not import the other."""
    warm_start = import_module("serving.learning.history").warm_start_agent
    return int(warm_start(workspace, log, agent, data).lessons)


def main() -> None:
    """Run the command line; an error of ours is one clear line, without a traceback."""
    try:
        app()
    except (NextbestError, ValueError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
