"""Options that several commands of simulated markets share, word for word."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WorkspaceFolder = Annotated[
    Path | None,
    typer.Option(help="Folder with workspace.yaml and agents/*.yaml.", show_default="workspace"),
]

WorldName = Annotated[
    str | None,
    typer.Option(help="Which market its customers come from.", show_default="one that suits"),
]

Every = Annotated[
    str | None,
    typer.Option(help="Time between two decisions, such as 7d.", show_default="the world's"),
]

Seed = Annotated[int, typer.Option(min=0, help="Fixes the customers and their luck.")]
