"""How results are printed: what the machine was doing, medians with their range, bars."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from importlib.metadata import version

from rich.console import Console
from rich.table import Table

CONSOLE = Console(width=100, highlight=False)


def heading(title: str) -> None:
    """Print what is measured, and what else the machine is doing."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    CONSOLE.print(f"\n[bold]{title}[/bold]")
    CONSOLE.print(
        f"{os.cpu_count()} cores, Python {platform.python_version()}, Ray {version('ray')};"
        f" load average before: {load}"
    )


def show(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, its first column to the left and numbers to the right."""
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    CONSOLE.print(table)


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Return the median with the range of all.

    Example:
        >>> spread([0.7, 0.9, 0.8])
        '0.80 (0.70 to 0.90)'
    """
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def bar(what: str, values: Sequence[float], limit: float, *, least: bool) -> None:
    """Print a figure beside what has to be reached.

    Args:
        what: the figure, in words.
        values: of each turn; their median counts.
        limit: to be reached.
        least: whether the figure is to be at least that; else at most.
    """
    middle = statistics.median(values)
    reached = middle >= limit if least else middle <= limit
    words = f"{'at least' if least else 'at most'} {limit:g}: {'yes' if reached else 'NO'}"
    CONSOLE.print(f"{what}: {spread(values)}; {words}")
