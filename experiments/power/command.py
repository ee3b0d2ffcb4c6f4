"""The command that says how many customers a lift needs."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.power.report import power_record, power_table
from experiments.power.sizes import Design
from experiments.telling import AsJson, tell, tell_json


def power_command(
    base: Annotated[float, typer.Option(help="What control does: a share, or a mean with --sd.")],
    lift: Annotated[
        float | None, typer.Option(help="Relative lift to find, as 0.1 for a tenth more.")
    ] = None,
    holdout: Annotated[float, typer.Option(help="Share of customers held back.")] = 0.05,
    customers: Annotated[
        int | None, typer.Option(min=2, help="How many there are: what can they show?")
    ] = None,
    per_day: Annotated[
        float | None, typer.Option(help="New customers a day: how long does it take?")
    ] = None,
    sd: Annotated[
        float | None, typer.Option(help="Standard deviation, if --base is a mean amount.")
    ] = None,
    power: Annotated[float, typer.Option(help="How often a true lift shall be found.")] = 0.8,
    alpha: Annotated[float, typer.Option(help="How often a false one may be, two-sided.")] = 0.05,
    as_json: AsJson = False,
) -> None:
    """Say how many customers a lift needs to be seen, or what lift they can show.

    Prints it for one look at a planned date and for looking at any time, with
    what the customers who are held back would have brought.
    """
    design = Design(base, holdout, sd, power, alpha)
    if as_json:
        tell_json(power_record(design, lift, customers, per_day))
    else:
        tell(*power_table(design, lift, customers, per_day))
