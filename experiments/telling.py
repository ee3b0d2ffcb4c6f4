"""What commands of this room share: options that mean the same everywhere, and how they tell."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console, RenderableType

from agents.errors import StateError

LogPath = Annotated[Path, typer.Argument(help="Parquet file of the log, or a folder of them.")]
AgentName = Annotated[str | None, typer.Option(help="Whose log, if it has several agents.")]
Level = Annotated[float, typer.Option(help="Nominal coverage of the intervals.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a machine.")]


def check_place(path: Path, option: str) -> None:
    """Refuse a file that could not be written, before the work whose result it is to hold.

    Args:
        path: of the file, which may be there.
        option: that named it, for the message.

    Raises:
        StateError: it is a folder, or its folder is missing or may not be written to.
    """
    if path.is_dir():
        raise StateError(f"{option}: expected a file to write, got the folder {path}")
    if not path.parent.is_dir():
        raise StateError(f"{option}: there is no folder {path.parent} to write {path.name} to")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise StateError(f"{option}: {path} may not be written")


def shown(value: Path | str) -> str:
    """Return a path as it may be told: of an absolute one only the last part.

    Example:
        >>> shown("logs/june"), shown(Path("/somebody/logs/june"))
        ('logs/june', 'june')
    """
    path = Path(value)
    return path.name if path.is_absolute() else str(value)


def given_in(context: typer.Context) -> dict[str, str]:
    """Return the arguments and options of a command that runs, by name, as they may be told."""
    return {
        name: ", ".join(shown(str(each)) for each in _several(value))
        for name, value in context.params.items()
        if name not in _APART and value is not None and _several(value)
    }


def command_of(context: typer.Context) -> str:
    """Return the command line that asks the same again, from where it was run."""
    words = ["nextbest", context.info_name or ""]
    for each in context.command.params:
        name = each.name or ""
        source, value = context.get_parameter_source(name), context.params.get(name)
        if name in _APART or source is None or source.name != "COMMANDLINE":
            continue
        if each.param_type_name == "argument":
            words.append(shown(str(value)))
        elif isinstance(value, bool):
            words.append((each.opts if value else each.secondary_opts)[0])
        else:
            words += [word for one in _several(value) for word in (each.opts[0], shown(str(one)))]
    return shlex.join(words)


_APART = ("track", "no_track", "as_json")  # options that change no answer


def _several(value: object) -> Sequence[object]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def tell(*parts: RenderableType) -> None:
    """Print tables and lines; those that begin with `warning:` in yellow."""
    # Names in logs and expressions may hold brackets: they are shown, never read as markup.
    console = Console(markup=False, highlight=False)
    for part in parts:
        warning = isinstance(part, str) and part.startswith("warning:")
        console.print(part, style="yellow" if warning else None)


def tell_json(record: object) -> None:
    """Print a record as JSON, for a machine."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
    typer.echo(orjson.dumps(record, option=options).decode())
