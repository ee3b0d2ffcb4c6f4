"""A comparison as a picture: what was gained as the days go by, and how well each arm chooses."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from agents.errors import StateError
from simulators.compare.comparison import Comparison
from simulators.compare.kpis import PER
from simulators.compare.recovery import possible_gain

FORMATS = (".png", ".svg")

_BAND = 1.96
_GREY = "0.55"


def check_plot(path: Path) -> Path:
    """Refuse a place that no picture can be written to, before anything is simulated.

    Raises:
        StateError: another suffix than `.png` and `.svg`, no folder, or one that cannot be written.
    """
    if path.suffix not in FORMATS:
        raise StateError(f"plot: expected a file that ends in .png or .svg, got {path}")
    if not path.parent.is_dir():
        raise StateError(f"plot: {path.parent} is no folder; make it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK) or path.is_dir():
        raise StateError(f"plot: {path} cannot be written; name another file")
    return path


def draw_plot(found: Comparison, path: Path) -> None:
    """Draw the value gained over doing nothing, and each round's share of what could be gained.

    Args:
        found: the comparison.
        path: file to write, `.png` or `.svg`.

    Raises:
        StateError: as `check_plot`, or the file cannot be written.
    """
    from matplotlib.figure import Figure

    picture = Figure(figsize=(11.0, 4.5), layout="constrained")
    left, right = picture.subplots(1, 2)
    length = found.lives[0].days[1] if found.rounds > 1 else 1.0
    for life in (*found.lives, found.best):
        grows = np.cumsum(life.value - found.untouched.value, axis=0)  # (T, C)
        middle = PER * grows.mean(axis=1)  # (T,)
        spread = _BAND * PER * grows.std(axis=1) / np.sqrt(grows.shape[1])  # (T,)
        days, known = life.days + length, life is not found.best
        look = {} if known else {"color": _GREY, "linestyle": "--"}
        (line,) = left.plot(days, middle, label=life.name, **look)
        if known:
            left.fill_between(days, middle - spread, middle + spread, alpha=0.15, lw=0.0)
            right.plot(days, 100.0 * possible_gain(life), label=life.name, color=line.get_color())
    left.set(xlabel="day", ylabel=f"{found.currency} per 1,000 customers", title="Gained over none")
    right.set(xlabel="day", ylabel="%", title="Share of what could be gained, by round")
    left.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    picture.suptitle(f"World {found.world}, {found.customers:,} customers, seed {found.seed}")
    try:
        picture.savefig(check_plot(path), dpi=150)
    except OSError as error:
        raise StateError(f"plot: {path} cannot be written: {error.strerror}") from error
