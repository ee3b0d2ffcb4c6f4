"""Where a command records its run: the options that say so, with one meaning for all commands."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents.errors import StateError
from experiments.tracking.store import DATABASE, open_store, open_tracking, told_address

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

VARIABLE = "MLFLOW_TRACKING_URI"
"""Environment variable that names a store in which everything is recorded."""

Track = Annotated[
    Path | None,
    typer.Option(
        "--track", help=f"Folder in which to record MLflow runs; where {VARIABLE} says if not said."
    ),
]
NoTrack = Annotated[
    bool, typer.Option("--no-track", help=f"Record no run, though {VARIABLE} is set.")
]


@dataclass(frozen=True, slots=True)
class Place:
    """An MLflow store that a run goes to.

    Args:
        folder: that was named; None for the one that the environment names.
    """

    folder: Path | None = None

    @property
    def named(self) -> bool:
        """Whether it was asked for by an option."""
        return self.folder is not None

    def open(self) -> MlflowClient:
        """Open it, making it if it is a missing folder or SQLite file.

        Raises:
            StateError: it cannot be made, reached or written; what named it, and how to do without
                it, is told.
        """
        try:
            if self.folder is None:
                return open_store(os.environ[VARIABLE])
            return open_tracking(self.folder)
        except StateError as error:
            named, instead = ("--track", " in its place") if self.named else (VARIABLE, "")
            way_out = f"--no-track{instead} leaves the record out"
            raise StateError(f"{named}: {error}; {way_out}") from None

    def told(self, *runs: str) -> tuple[str, ...]:
        """Say where runs were recorded, without a password, and how they are looked at.

        Args:
            runs: their ids.
        """
        many = f", run{'s' if len(runs) > 1 else ''} {', '.join(runs)}" if runs else ""
        see = "  mlflow ui --backend-store-uri"
        if self.folder is not None:
            store = self.folder / DATABASE
            return f"recorded in {store}{many}; see it with:", f"{see} sqlite:///{store}"
        store_address = told_address(os.environ[VARIABLE])
        where = f"recorded in {store_address} ({VARIABLE}){many}"
        if store_address.startswith("http"):
            return (f"{where}; see it there with a browser",)
        return f"{where}; see it with:", f'{see} "${VARIABLE}"'


def place_of(track: Path | None, no_track: bool) -> Place | None:
    """Return where a run goes; None for nowhere.

    Args:
        track: the folder that was named; None if none was.
        no_track: whether nothing is to be recorded.

    Raises:
        ValueError: both were given.
    """
    if no_track and track is not None:
        raise ValueError("expected --track or --no-track, got both")
    if no_track or (track is None and not os.environ.get(VARIABLE)):
        return None
    return Place(track)
