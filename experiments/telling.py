"""What commands of this room share: options that mean the same everywhere, and how they tell."""

from __future__ import annotations

import os
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
