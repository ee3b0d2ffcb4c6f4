"""Measure: `python -m experiments.studies.log_speed`, some minutes and 500 MB of disk."""

from __future__ import annotations

import typer

from experiments.studies.log_speed.study import main

if __name__ == "__main__":
    typer.run(main)
