"""What commands of this room share: options that mean the same everywhere, and how they tell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console, RenderableType

LogPath = Annotated[
    Path, typer.Argument(help="Parquet file of the log, or a folder of them.", metavar="LOG")
]
AgentName = Annotated[str | None, typer.Option(help="Whose log, if it has several agents.")]
Level = Annotated[float, typer.Option(help="Nominal coverage of the intervals.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a machine.")]


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
