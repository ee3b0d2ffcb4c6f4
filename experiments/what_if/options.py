"""The options of `nextbest what-if`, and all of them together as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from experiments.what_if.asked import Question
from experiments.what_if.change import Change

Guardrails = Annotated[
    list[str],
    typer.Option(
        "--guardrail", help="Another limit, NAME.FIELD=VALUE: contact_limit.max=2; repeatable."
    ),
]
Drops = Annotated[list[str], typer.Option(help="A guardrail to leave out; repeatable.")]
Adds = Annotated[list[Path], typer.Option(help="YAML file of guardrails to add; repeatable.")]
Settings = Annotated[
    list[str],
    typer.Option(
        "--set",
        help="Anything else that bars actions, workspace.PATH=VALUE or AGENT.PATH=VALUE:"
        ' workspace.channels.sms.quiet_hours.to="09:00"; repeatable.',
    ),
]
Against = Annotated[
    Path | None, typer.Option(help="Or an edited workspace folder, in place of all these.")
]
InForce = Annotated[
    Path | None, typer.Option(help="The folder that was in force; else that of the last decision.")
]
By = Annotated[str, typer.Option(help="Also by segment: a customer field or an expression.")]
Snapshots = Annotated[
    Path | None, typer.Option(help="Folder of the snapshots that decided, to ask them again.")
]
KeyFile = Annotated[Path | None, typer.Option(help="Key file that the snapshots are signed with.")]
Prices = Annotated[bool, typer.Option(help="Also say what each rule in force costs.")]
Precision = Annotated[
    float | None,
    typer.Option(
        help="How exactly a loosened rule's value is to be found out by trying, in currency per"
        " 1,000 decisions.",
        show_default="a tenth of the logged value",
    ),
]
World = Annotated[
    str, typer.Option(help="World to live through both sets of rules, as a second opinion.")
]
Customers = Annotated[int, typer.Option(min=2, help="Simulated customers.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the simulated customers.")]
Force = Annotated[
    bool,
    typer.Option("--force", help="Tell numbers that are not supported, or extrapolated, marked."),
]

WORDS: list[str] = []
FILES: list[Path] = []


@dataclass(frozen=True, slots=True)
class Options:
    """What one command asks; the fields are those of the aliases above."""

    log: Path
    guardrails: Sequence[str]
    drops: Sequence[str]
    adds: Sequence[Path]
    settings: Sequence[str]
    against: Path | None
    workspace: Path | None
    agent: str | None
    by: str
    snapshots: Path | None
    key: Path | None
    prices: bool
    precision: float | None
    world: str
    customers: int
    seed: int
    level: float
    force: bool
    json: bool

    @property
    def change(self) -> Change:
        """What is to be different."""
        return Change(self.against, self.guardrails, self.settings, self.drops, self.adds)

    @property
    def question(self) -> Question:
        """How that is to be looked at; amounts are per decision, not per 1,000."""
        precision = None if self.precision is None else self.precision / 1_000.0
        return Question(
            self.by, self.level, precision, self.prices, self.snapshots, self.key, self.world,
            self.customers, self.seed,
        )  # fmt: skip
