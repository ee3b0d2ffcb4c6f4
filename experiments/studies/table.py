"""What a study found: a table for people, and an MLflow run of the same figures."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from experiments.tracking import open_tracking, record_run

EXPERIMENT = "studies"
FOLDER = "NEXTBEST_STUDIES"
"""Names the folder of the MLflow store; without it, figures are only printed."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number.

    Args:
        value: in the unit of its column.
        stderr: its standard error over seeds, None if it has none.
    """

    value: float
    stderr: float | None = None

    def text(self, digits: int) -> str:
        """Write it with its standard error, if it has one.

        Example:
            >>> Figure(54.31, 4.96).text(1)
            '54.3 +- 5.0'
        """
        shown = f"{self.value:,.{digits}f}"
        return shown if self.stderr is None else f"{shown} +- {self.stderr:,.{digits}f}"


@dataclass(frozen=True, slots=True)
class Study:
    """A table of figures.

    Args:
        name: of the study; the name of its run.
        title: what was measured, in which unit, over which seeds.
        columns: names of the figures in each row.
        rows: by name; a row may lack trailing figures, or hold None for one.
        notes: sentences to be read with the table.
        params: what the figures depend on, such as seeds and sizes.
        digits: decimal places that are shown.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Mapping[str, Sequence[Figure | None]]
    notes: tuple[str, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    digits: int = 1

    def text(self) -> str:
        """Lay the table out in columns.

        Example:
            >>> print(Study("demo", "Demo", ("us",), {"part": [Figure(2.0)]}).text())
            Demo
                     us
              part  2.0
        """
        cells = {
            name: ["" if figure is None else figure.text(self.digits) for figure in row]
            for name, row in self.rows.items()
        }
        first = max(len(name) for name in cells)
        widths = [
            max(len(column), *(len(row[i]) for row in cells.values() if i < len(row)))
            for i, column in enumerate(self.columns)
        ]
        lines = [self.title, _line("", self.columns, first, widths)]
        lines += [_line(name, row, first, widths) for name, row in cells.items()]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])

    def metrics(self) -> dict[str, float]:
        """Return the figures under the names `ROW/COLUMN` and `ROW/COLUMN.stderr`."""
        found: dict[str, float] = {}
        for name, row in self.rows.items():
            for column, figure in zip(self.columns, row, strict=False):
                if figure is None:
                    continue
                key = _key(f"{name}/{column}")
                found[key] = figure.value
                if figure.stderr is not None:
                    found[f"{key}.stderr"] = figure.stderr
        return found


def _line(name: str, cells: Sequence[str], first: int, widths: Sequence[int]) -> str:
    shown = [cell.rjust(width) for cell, width in zip(cells, widths, strict=False)]
    return f"  {name:<{first}}  {'  '.join(shown)}".rstrip()


def _key(name: str) -> str:
    """Keep what MLflow allows in a metric's name."""
    return re.sub(r"[^\w./ -]", "_", name)


def publish(study: Study) -> None:
    """Print a study, and record it where the environment names a folder for it."""
    sys.stdout.write(f"{study.text()}\n")
    folder = os.environ.get(FOLDER)
    if folder:
        record_run(
            open_tracking(Path(folder)), EXPERIMENT, study.name,
            metrics=study.metrics(), params=study.params, tags={"title": study.title},
        )  # fmt: skip
