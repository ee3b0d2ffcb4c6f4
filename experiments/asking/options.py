"""The options of `nextbest evaluate`, and all of them together as data."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from agents.errors import UnknownNameError, did_you_mean
from experiments.asking.asker import Rows
from experiments.estimators import ESTIMATORS
from experiments.evaluate import DEFAULT_ESTIMATORS, DEFAULT_INTERVAL
from experiments.intervals import INTERVALS, Interval
from experiments.targets.taught import BLOCKS
from experiments.tracking import Place

LARGE = 2_000_000
"""Rows above which a log is read in pieces, unless something is asked that needs it whole."""

Policies = Annotated[
    list[str],
    typer.Option(
        help="uniform, none, logged, incumbent, a learner as in hybrid_thompson:tau=0.3,"
        " 'fixed:ACTION > ACTION', 'when EXPR then ACTION else ACTION', a YAML file of rules, or a"
        " snapshot file; repeatable."
    ),
]
Groups = Annotated[Rows, typer.Option(help="Whose decisions are used.")]
Estimators = Annotated[
    list[str],
    typer.Option(
        help=f"Any of {', '.join(ESTIMATORS)}, some with a setting as in switch=20; repeatable."
    ),
]
IntervalName = Annotated[str, typer.Option("--interval", help=f"Any of {', '.join(INTERVALS)}.")]
Loggers = Annotated[
    list[str],
    typer.Option(
        "--logger", help="For bips: each policy that wrote the log, as of --policy; repeatable."
    ),
]
KeyFile = Annotated[Path | None, typer.Option(help="Key file that snapshots are signed with.")]
By = Annotated[
    list[str],
    typer.Option(help="Also by segment: a field of the customer, or a CEL expression; repeatable."),
]
Parts = Annotated[bool, typer.Option("--parts", help="Also by offer and by channel.")]
Blocks = Annotated[
    int,
    typer.Option(
        help="Parts of time: a learner answers each as taught by those before, and is judged on all"
        " but the first; 2 teaches it once."
    ),
]
AtOnce = Annotated[
    bool, typer.Option("--at-once", help="Let learners learn as if outcomes came at once.")
]
Progressive = Annotated[
    bool,
    typer.Option("--progressive", help="Let learners answer all decisions, learning on the way."),
]
Force = Annotated[
    bool, typer.Option("--force", help="Print numbers that are not supported, marked as such.")
]
Stream = Annotated[
    bool | None,
    typer.Option(
        "--stream/--no-stream",
        help=f"Read the log in pieces, which all but learners, mrdr, bips, --html, --track and"
        f" --workspace can be had from, or whole; if not said, in pieces above {LARGE:,} rows.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")]
Recheck = Annotated[
    Path | None, typer.Option(help="Re-check every decision against this folder's YAML.")
]
Html = Annotated[
    Path | None, typer.Option(help="File to write a report to that opens in a browser.")
]

POLICIES: list[str] = ["uniform"]
ESTIMATES = list(DEFAULT_ESTIMATORS)
NONE: list[str] = []
INTERVAL = DEFAULT_INTERVAL.name


@dataclass(frozen=True, slots=True)
class Options:
    """What one command asks; the fields are those of the aliases above."""

    log: Path
    policies: Sequence[str]
    group: Rows
    estimators: Sequence[str]
    interval: str
    agent: str | None
    key: Path | None
    level: float
    by: Sequence[str]
    parts: bool
    blocks: int
    at_once: bool
    progressive: bool
    force: bool
    stream: bool | None
    json: bool
    workspace: Path | None
    track: Place | None
    html: Path | None
    loggers: Sequence[str] = ()

    @property
    def found_interval(self) -> Interval:
        """The interval that is asked for.

        Raises:
            UnknownNameError: there is none of that name.
        """
        if self.interval not in INTERVALS:
            hint = did_you_mean(self.interval, INTERVALS)
            raise UnknownNameError(f"--interval: there is no interval {self.interval!r}; {hint}")
        return INTERVALS[self.interval]

    @property
    def whole(self) -> str:
        """The first option that was given and needs every decision at once; empty if none was."""
        asked = {
            "--progressive": self.progressive, "--workspace": self.workspace,
            "--track": self.track is not None and self.track.named,
            "--html": self.html, "--logger": self.loggers,
            "--estimator mrdr": "mrdr" in self.estimators,
        }  # fmt: skip
        return next((name for name, given in asked.items() if given), "")

    @property
    def command(self) -> str:
        """The command that gives the same figures again, from where it was run.

        Of an absolute path only the last part is told: the rest is about a machine and its user.
        """
        words = ["nextbest", "evaluate", _shown(self.log), "--group", str(self.group)]
        words += ["--level", f"{self.level:g}"]
        words += [word for each in self.policies for word in ("--policy", _shown(Path(each)))]
        words += [word for each in self.estimators for word in ("--estimator", each)]
        words += [word for each in self.by for word in ("--by", each)]
        words += [word for each in self.loggers for word in ("--logger", _shown(Path(each)))]
        words += ["--interval", self.interval] if self.interval != INTERVAL else []
        words += ["--blocks", str(self.blocks)] if self.blocks != BLOCKS else []
        words += ["--agent", self.agent] if self.agent else []
        words += ["--key", _shown(self.key)] if self.key else []
        flags = {
            "--parts": self.parts, "--at-once": self.at_once, "--progressive": self.progressive,
            "--force": self.force, "--stream": self.stream is True,
            "--no-stream": self.stream is False,
        }  # fmt: skip
        return shlex.join(words + [name for name, given in flags.items() if given])


def _shown(path: Path) -> str:
    return path.name if path.is_absolute() else str(path)
