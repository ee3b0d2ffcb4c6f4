"""A comparison as a table: a line a figure, a column an arm."""

from __future__ import annotations

import math

from rich import box
from rich.table import Table

from simulators.compare.comparison import Comparison
from simulators.compare.kpis import KPIS, Figure, Kpi


def comparison_table(found: Comparison) -> Table:
    """Lay the figures out; behind each its difference to the first arm, plus or minus 1.96 errors.

    Args:
        found: the comparison.
    """
    rounds = "1 round" if found.rounds == 1 else f"{found.rounds} rounds"
    title = f"World {found.world}: {found.customers:,} customers, {rounds} each"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for name in found.figures:
        table.add_column(name, justify="right")
    for kpi in KPIS:
        rows = [figures[kpi.key] for figures in found.figures.values()]
        if not all(math.isnan(figure.value) for figure in rows):
            cells = [_cell(kpi, figure, first=i == 0) for i, figure in enumerate(rows)]
            title = kpi.title.replace("CURRENCY", found.currency).replace("DAY", f"{found.day}")
            table.add_row(title, *cells)
    table.caption_justify = "left"
    table.caption = (
        "in brackets: the difference to the first, customer by customer, ± 1.96 standard errors"
    )
    return table


def _cell(kpi: Kpi, figure: Figure, *, first: bool) -> str:
    if not math.isfinite(figure.value):
        return "never" if math.isinf(figure.value) else "-"
    shown = f"{kpi.scale * figure.value:,.{kpi.digits}f}{kpi.suffix}"
    if first:
        return shown + _spread(kpi, figure.error)
    if not math.isfinite(figure.difference):
        return shown
    change = f"{kpi.scale * figure.difference:+,.{kpi.digits}f}"
    return f"{shown} ({change}{_spread(kpi, figure.difference_error)})"


def _spread(kpi: Kpi, error: float) -> str:
    return f" ± {1.96 * kpi.scale * error:,.{kpi.digits}f}" if error > 0.0 else ""
