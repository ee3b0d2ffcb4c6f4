"""The command line: all commands of all rooms, and none imported before it is asked for."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Mapping
from typing import cast

import typer
from typer.core import TyperCommand, TyperGroup

import nextbest
from agents import commands as agents_commands
from experiments import commands as experiments_commands
from policies import commands as policies_commands
from serving import commands as serving_commands
from simulators import commands as simulators_commands

_ROOMS = (agents_commands, experiments_commands, policies_commands, serving_commands,
          simulators_commands)  # fmt: skip
_HEAVY = ("sklearn", "mlflow", "ray", "numba", "matplotlib", "pandas", "scipy", "numpy", "pyarrow")


def _commands(app: typer.Typer) -> Mapping[str, TyperCommand | TyperGroup]:
    return cast("Mapping[str, TyperCommand | TyperGroup]", typer.main.get_group(app).commands)


def first_line(text: str | None) -> str:
    return inspect.cleandoc(text or "").partition("\n")[0]


def test_the_listing_is_that_of_the_rooms() -> None:
    expected: dict[str, TyperCommand | TyperGroup] = {}
    for room in _ROOMS:
        whole = typer.Typer(callback=lambda: None)
        whole.registered_commands += room.app.registered_commands
        whole.registered_groups += room.app.registered_groups
        expected |= dict(_commands(whole))
    found = _commands(nextbest.app)
    assert set(found) == set(expected)
    for name, command in expected.items():
        own = found[name]
        assert type(own) is type(command), name
        assert own.help == command.help, name
        assert [each.opts for each in own.params] == [each.opts for each in command.params], name
        assert nextbest._COMMANDS[name][1] == first_line(command.help), name


def test_help_imports_no_command() -> None:
    script = (
        "import sys, nextbest\n"
        "try:\n"
        "    nextbest.app(['--help'])\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        f"print('heavy:', sorted(set({_HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert "warm-start" in done.stdout
    assert done.stdout.splitlines()[-1] == "heavy: []"
