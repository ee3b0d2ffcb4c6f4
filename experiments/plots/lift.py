"""Lift as the experiment goes on, with a band that holds at every look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.plots.style import COLOURS, GREY, add_legend, follow_time, new_plot, number, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_UNKNOWN = "no band yet: too few conversions"


@dataclass(frozen=True, slots=True)
class LiftCurve:
    """A difference at each look, and the bounds of its confidence sequence.

    Args:
        at: (T,) datetime64 of each look (UTC).
        value, low, high: (T,) in the plot's unit; bounds may be NaN or infinite while they are
            unknown.
        customers: (T,) known at each look.
    """

    at: NDArray[np.datetime64]
    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    customers: NDArray[np.int64]


def draw_lift(curve: LiftCurve, *, unit: str, level: float, over: str = "control") -> Figure:
    """Draw a lift over time with its confidence sequence and a line at no difference.

    Args:
        curve: at least one look.
        unit: such as `EUR per 1,000 customers`.
        level: of the sequence, at all looks together.
        over: the group that treatment is compared with.

    Raises:
        ValueError: arrays of different lengths, or no look.
    """
    sizes = {len(a) for a in (curve.at, curve.value, curve.low, curve.high, curve.customers)}
    if len(sizes) != 1 or sizes == {0}:
        raise ValueError(f"expected arrays of one length of at least 1, got {sorted(sizes)}")
    figure, axes = new_plot(3.0)
    known = np.isfinite(curve.low) & np.isfinite(curve.high)  # (T,)
    band = f"{100 * level:g}% at all looks together" if known.any() else _UNKNOWN
    axes.fill_between(
        curve.at, curve.low, curve.high, where=known, color=COLOURS[0], alpha=0.2, lw=0, label=band
    )
    for bound in (curve.low, curve.high):
        axes.plot(curve.at[known], bound[known], color=COLOURS[0], linewidth=0.6)
    axes.plot(curve.at, curve.value, color=COLOURS[0], label=plain(f"treatment over {over}"))
    axes.axhline(0.0, color=GREY, linestyle="--", label="no difference")
    axes.yaxis.set_major_formatter(number)
    axes.set_ylabel(plain(unit))
    axes.set_xlabel(f"time of the look (UTC), n = {int(curve.customers[-1]):,} customers")
    follow_time(axes)
    add_legend(figure, axes)
    return figure
