"""The commands of this room."""

from __future__ import annotations

import typer

from experiments.asking.command import evaluate_command
from experiments.comparing import compare_command
from experiments.demo.command import demo_command
from experiments.fairness.command import fairness_command
from experiments.gate.command import gate_command
from experiments.lift.command import lift_command
from experiments.logs import command as logs_command
from experiments.power.command import power_command
from experiments.tracking import commands as tracking_commands
from experiments.training import train_command
from experiments.what_if.command import what_if_command

app = typer.Typer()
app.command(name="evaluate")(evaluate_command)
app.command(name="compare")(compare_command)
app.command(name="lift")(lift_command)
app.command(name="power")(power_command)
app.command(name="fairness")(fairness_command)
app.command(name="train")(train_command)
app.command(name="what-if")(what_if_command)
app.command(name="gate")(gate_command)
app.command(name="demo")(demo_command)
app.command(name="quality")(logs_command.quality_command)
app.command(name="export-dsjson")(logs_command.export_dsjson_command)
app.add_typer(logs_command.app, name="import")
app.add_typer(tracking_commands.app, name="models")
