"""Measure: `python -m experiments.studies.many_actions`, some minutes."""

from __future__ import annotations

import typer

from experiments.studies.many_actions.study import main

if __name__ == "__main__":
    typer.run(main)
