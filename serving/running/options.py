"""Options that more than one command has, each worded once."""

from __future__ import annotations

from typing import Annotated

import typer

MaxReplicas = Annotated[
    int, typer.Option(min=0, help="Start up to so many under load; 0 for always --replicas.")
]
MaxWaiting = Annotated[
    int, typer.Option(min=4, help="Requests under way for one replica; more get 503 at once.")
]
