"""The command line: one small application a room, put together here."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from agents import commands as agents_commands
from agents.errors import NextbestError
from experiments import commands as experiments_commands
from policies import commands as policies_commands
from serving import commands as serving_commands
from simulators import commands as simulators_commands

_ROOMS = (
    agents_commands,
    policies_commands,
    serving_commands,
    simulators_commands,
    experiments_commands,
)

app = typer.Typer(
    help="Next-best-action decisions inside hard guardrails, with exact propensities.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for room in _ROOMS:
    app.registered_commands += room.app.registered_commands
    app.registered_groups += room.app.registered_groups


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nextbest {version('nextbest')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Next-best-action decisions inside hard guardrails, with exact propensities."""


def main() -> None:
    """Run the command line; an error of ours is one clear line, without a traceback."""
    try:
        app()
    except (NextbestError, ValueError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
