"""Values of policies with their intervals, one below the other."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from experiments.plots.style import COLOURS, GREY, INK, MARKERS, add_legend, new_plot, number, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NAME = 26  # letters of a line of a name
_LINES = 2  # of a name


@dataclass(frozen=True, slots=True)
class Interval:
    """One row: a value and the bounds of its interval.

    Args:
        name: of the policy.
        method: estimator.
        value, low, high: in the plot's unit.
        believed: whether the figure is supported; what is not is drawn hollow and pale.
    """

    name: str
    method: str
    value: float
    low: float
    high: float
    believed: bool = True


def draw_values(
    rows: Sequence[Interval],
    *,
    unit: str,
    level: float,
    n: int,
    reference: tuple[str, float] | None = None,
) -> Figure:
    """Draw values and intervals, the first at the top; a method has one colour and one marker.

    Rows of the same name that follow one another have it once.

    Args:
        rows: at least one.
        unit: such as `EUR per 1,000 decisions`.
        level: of the intervals.
        n: decisions.
        reference: name and value of a dashed line to compare with.

    Raises:
        ValueError: no rows.
    """
    if not rows:
        raise ValueError("expected at least one value to draw, got none")
    methods = list(dict.fromkeys(row.method for row in rows))
    figure, axes = new_plot(1.3 + 0.3 * len(rows))
    for place, row in enumerate(rows):
        kind = methods.index(row.method)
        colour = COLOURS[kind % len(COLOURS)]
        axes.errorbar(
            row.value, place,
            xerr=[[max(row.value - row.low, 0.0)], [max(row.high - row.value, 0.0)]],
            color=colour, marker=MARKERS[kind % len(MARKERS)], capsize=3, linestyle="none",
            markerfacecolor=colour if row.believed else "none", alpha=1.0 if row.believed else 0.7,
        )  # fmt: skip
    for kind, method in enumerate(methods):
        axes.plot(
            [], [], linestyle="none", label=plain(method), color=COLOURS[kind % len(COLOURS)],
            marker=MARKERS[kind % len(MARKERS)],
        )  # fmt: skip
    if reference is not None:
        axes.axvline(reference[1], color=GREY, linestyle="--", label=plain(reference[0]))
    _name_rows(axes, [row.name for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(number)
    axes.set_xlabel(f"{plain(unit)}, {100 * level:g}% intervals\nn = {n:,} decisions")
    add_legend(figure, axes)
    return figure


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Write each name once, in the middle of its rows, and lines between names."""
    places: list[float] = []
    shown: list[str] = []
    first = 0
    for name, rows in groupby(names):
        count = len(list(rows))
        places.append(first + (count - 1) / 2)
        shown.append(_wrapped(name))
        first += count
        if first < len(names):
            axes.axhline(first - 0.5, color=GREY, linewidth=0.4)
    axes.set_yticks(places, shown, color=INK, fontsize=9)


def _wrapped(name: str) -> str:
    lines = textwrap.wrap(name, _NAME, max_lines=_LINES, placeholder="…", break_on_hyphens=False)
    return "\n".join(map(plain, lines))
