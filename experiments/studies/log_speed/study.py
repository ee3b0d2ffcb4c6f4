"""What a large log takes by pass, by length, and beside a reference that goes row by row."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from experiments.studies.log_speed.by_row import Rows, in_arrays, installed, one_by_one, rate
from experiments.studies.log_speed.make import ACTIONS, write_log
from experiments.studies.log_speed.streamed import Streaming, measured_alone
from experiments.studies.table import Figure, Study, publish

LENGTHS = (250_000, 1_000_000, 4_000_000)
_ROWS, _ROUNDS = 200_000, 5


def streaming(lengths: Sequence[int]) -> Study:
    """Evaluate logs of these lengths, each in a process of its own."""
    found = [_measured(length) for length in lengths]
    names = list(dict.fromkeys(name for each in found for name in each.passes))
    micro = {
        f"us a row: {name}": [_micro(each, each.passes.get(name, 0.0)) for each in found]
        for name in names
    }
    rows: dict[str, Sequence[Figure | None]] = {
        **micro,
        "us a row: all": [_micro(each, each.cpu) for each in found],
        "seconds of CPU": [Figure(each.cpu) for each in found],
        "seconds": [Figure(each.wall) for each in found],
        "rows a second": [Figure(each.rows / each.wall) for each in found],
        "MiB once imported": [Figure(each.before) for each in found],
        "MiB at most": [Figure(each.peak) for each in found],
    }
    return Study(
        name="log_speed",
        title=(
            f"A streamed log of {len(ACTIONS)} actions, one core: read, checked, SNIPS, DR with a"
            " cross-fitted model, envelope and diagnostics"
        ),
        columns=tuple(f"{length:,} rows" for length in lengths),
        rows=rows,
        params={"lengths": ",".join(map(str, lengths))},
        digits=2,
    )


def beside_reference(rows: int = _ROWS, rounds: int = _ROUNDS) -> Study:
    """Compare arrays with vw-estimators, on the same weights and rewards in the same process."""
    made = Rows.make(rows)
    ours = rate(in_arrays, made, rounds)
    theirs = rate(one_by_one, made, rounds) if installed() else None
    notes = () if theirs else ("vw-estimators is not installed: pip install vw-estimators==0.2.2",)
    return Study(
        name="log_speed_reference",
        title=f"SNIPS with an interval from weights and rewards, rows per second of CPU, {rows:,}",
        columns=("rows a second", "ratio"),
        rows={
            "vw-estimators, row by row": [Figure(theirs), Figure(1.0)] if theirs else [None, None],
            "arrays": [Figure(ours), Figure(ours / theirs) if theirs else None],
        },
        notes=notes,
        params={"rows": str(rows), "rounds": str(rounds)},
        digits=1,
    )


def _measured(length: int) -> Streaming:
    with tempfile.TemporaryDirectory(prefix="nextbest-") as folder:
        return measured_alone(write_log(Path(folder) / "log.parquet", length))


def _micro(found: Streaming, seconds: float) -> Figure:
    return Figure(seconds / found.rows * 1e6)


def run(lengths: Sequence[int] = LENGTHS) -> None:
    """Measure and publish."""
    publish(streaming(lengths))
    publish(beside_reference())


def main(
    rows: Annotated[list[int] | None, typer.Option(help="Length of a log; repeatable.")] = None,
) -> None:
    """Measure logs of the lengths that are asked for."""
    run(rows or LENGTHS)
