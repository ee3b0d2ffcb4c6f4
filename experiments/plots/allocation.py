"""What was offered as time went by: the share of each offer, and of nothing, in a log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.logs import LoggedDecisions
from experiments.plots.style import COLOURS, GREY, add_legend, follow_time, new_plot, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NONE = "none"
OTHERS = "other offers"

_DAYS_BY_DAY = 28
_MOST_WEEKS = 104  # of a plot; beyond, a period has several weeks
_HATCHES = ("", "//", "..", "\\\\", "xx", "--", "++")


@dataclass(frozen=True, slots=True)
class Allocation:
    """Shares of decisions, by period and offer.

    Args:
        starts: (T,) datetime64[D], first day of each period (UTC).
        days: length of a period.
        names: (K,) offers in the order of their share, `none` last.
        shares: (T, K) in [0, 1]; NaN in a period without decisions.
        counts: (T,) decisions.
    """

    starts: NDArray[np.datetime64]
    days: int
    names: tuple[str, ...]
    shares: NDArray[np.float64]
    counts: NDArray[np.int64]

    @property
    def period(self) -> str:
        """What a period is, in words."""
        weeks = self.days // 7
        return "day" if not weeks else "week" if weeks == 1 else f"{weeks} weeks"


def allocation_of(log: LoggedDecisions, *, most: int = 7) -> Allocation:
    """Count what was drawn by offer and by day, or by week if the log is longer than four weeks.

    Beyond two years a period has as many weeks as leave at most 104 of them.

    Args:
        log: at least one decision.
        most: offers that are told apart; the rarest ones are counted together beyond that.

    Raises:
        ValueError: no decisions, or no offer to tell apart.
    """
    if not len(log) or most < 1:
        raise ValueError(f"expected decisions and most at least 1, got {len(log)} and {most}")
    offers = np.array([action.split("/", 1)[0] for action in log.actions])  # (A,)
    drawn = offers[log.drawn]  # (N,)
    named, sizes = np.unique(drawn[drawn != NONE], return_counts=True)
    ranked = [str(name) for name in named[np.argsort(-sizes, kind="stable")]]
    kept = ranked if len(ranked) <= most else ranked[: most - 1]
    names = (*kept, *((OTHERS,) if len(kept) < len(ranked) else ()), NONE)
    place = {name: names.index(name) for name in (*kept, NONE)}
    codes = np.array([place.get(str(name), len(kept)) for name in drawn])  # (N,)
    day = log.at.astype("datetime64[D]")  # (N,)
    first, last = day.min(), day.max()
    length = int((last - first).astype(int)) + 1
    days = 1 if length <= _DAYS_BY_DAY else 7 * -(-length // (7 * _MOST_WEEKS))
    period = (day - first).astype(int) // days  # (N,)
    periods = (length - 1) // days + 1
    table = np.zeros((periods, len(names)))  # (T, K)
    np.add.at(table, (period, codes), 1.0)
    counts = table.sum(axis=1)  # (T,)
    shares = np.divide(
        table, counts[:, None], out=np.full(table.shape, np.nan), where=counts[:, None] > 0.0
    )
    starts = first + np.arange(periods) * np.timedelta64(days, "D")
    return Allocation(starts, days, names, shares, counts.astype(np.int64))


def draw_allocation(found: Allocation) -> Figure:
    """Draw the shares as areas upon each other, `none` on top in grey; patterns tell them too."""
    figure, axes = new_plot(3.0)
    end = found.starts[-1] + np.timedelta64(found.days, "D")
    edges = np.append(found.starts, end)  # (T + 1,)
    shares = 100.0 * np.vstack([found.shares, found.shares[-1:]])  # (T + 1, K)
    floor = np.zeros(len(edges))
    for column, name in enumerate(found.names):
        top = floor + shares[:, column]
        quiet = name == NONE
        axes.fill_between(
            edges, floor, top, step="post", linewidth=0.5, edgecolor="white", label=plain(name),
            facecolor=GREY if quiet else COLOURS[column % len(COLOURS)],
            hatch="" if quiet else _HATCHES[column % len(_HATCHES)],
        )  # fmt: skip
        floor = top
    axes.set(ylim=(0.0, 100.0), xlim=(edges[0], edges[-1]))
    axes.set_ylabel("% of decisions")
    axes.set_xlabel(f"by {found.period} (UTC), n = {int(found.counts.sum()):,} decisions")
    follow_time(axes)
    add_legend(figure, axes)
    return figure
