"""The options of `nextbest gate`, and all of them together as data."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from experiments.telling import shown

Candidate = Annotated[str, typer.Option(help="Snapshot file, policy or rule that wants to decide.")]
Champion = Annotated[
    str, typer.Option(help="What decides now: logged, or a snapshot, policy or rule.")
]
CanaryId = Annotated[
    str, typer.Option(help="Or the id of a canary's revision that decides in this log.")
]
CriteriaFile = Annotated[
    Path | None, typer.Option(help="gate.yaml: what has to be shown; the usual if not said.")
]
KeyFile = Annotated[Path | None, typer.Option(help="Key file that snapshots are signed with.")]
InForce = Annotated[
    Path | None, typer.Option(help="Folder in force, to check every decision against.")
]


@dataclass(frozen=True, slots=True)
class Asked:
    """One gate, as the command line has it; the fields are those of the aliases above."""

    log: Path
    candidate: str
    champion: str
    canary: str
    criteria: Path | None
    key: Path | None
    workspace: Path | None
    agent: str | None

    @property
    def command(self) -> str:
        """The same gate again; of an absolute path only the last part is told."""
        words = ["nextbest", "gate", shown(self.log)]
        pairs = {
            "--candidate": self.candidate, "--champion": self.champion if self.candidate else "",
            "--canary": self.canary, "--criteria": self.criteria, "--key": self.key,
            "--workspace": self.workspace, "--agent": self.agent,
        }  # fmt: skip
        for option, value in pairs.items():
            words += [option, shown(value)] if value else []
        return shlex.join(words)
