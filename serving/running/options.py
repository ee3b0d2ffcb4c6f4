"""Options that more than one command has, each worded once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agents.errors import ContextError
from serving.running.ledger_url import holds_password, read_ledger_url
from serving.settings import LEDGER_ENV
from serving.watching.logs import LogKind


def _read(ctx: typer.Context, param: typer.CallbackParam, value: str) -> str:
    """Return the ledger's URL; refuse a password that every user of the machine could read."""
    source = ctx.get_parameter_source(param.name or "")
    if source is not None and source.name == "COMMANDLINE" and holds_password(value):
        raise ContextError(
            "expected no password on the command line, where every user of this machine can read"
            f" it: set {LEDGER_ENV} to the URL, or say --ledger file:PATH of a file that holds it"
        )
    return read_ledger_url(value)


def without_password(value: str) -> str:
    """Return the URI of a model registry; refuse a password, which lists and logs would show."""
    if holds_password(value):
        raise ContextError(
            "expected --model-registry without a password: set MLFLOW_TRACKING_USERNAME and"
            " MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        )
    return value


MaxReplicas = Annotated[
    int, typer.Option(min=0, help="Start up to so many under load; 0 for always --replicas.")
]
MaxWaiting = Annotated[
    int, typer.Option(min=4, help="Requests under way for one replica; more get 503 at once.")
]
Data = Annotated[Path, typer.Option(help="Folder of the ledger, the keys and the snapshots.")]
LedgerUrl = Annotated[
    str,
    typer.Option(
        "--ledger",
        envvar=LEDGER_ENV,
        callback=_read,
        help="postgresql://... that replicas share, or file:PATH of a file with it; else SQLite.",
    ),
]
ExportEvery = Annotated[
    float, typer.Option(min=0, help="Seconds between two shippings of the log; 0 for none.")
]
ExportTo = Annotated[
    Path | None, typer.Option(help="Folder of the shipped log; 'exports' in --data if none.")
]
ModelRegistry = Annotated[
    str,
    typer.Option(
        callback=without_password,
        help="MLflow store, as sqlite:///runs/mlflow/mlflow.db: its models decide.",
    ),
]
ModelAlias = Annotated[str, typer.Option(help="Which registered model of an agent decides.")]
ModelKey = Annotated[
    Path | None, typer.Option(help="Key file that models are signed with; the server's if none.")
]
Log = Annotated[
    LogKind, typer.Option(help="'json' has a line for each request; neither has customers.")
]
LogTo = Annotated[
    Path | None,
    typer.Option(help="File of the log; with Ray 'server.log' in --data, else standard error."),
]
