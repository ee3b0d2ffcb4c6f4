"""How much each decision counts: the histogram of importance weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.plots.style import COLOURS, GREY, add_legend, new_plot, number
from experiments.weights import effective_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 40


def draw_weights(weights: NDArray[np.float64]) -> Figure:
    """Draw how many decisions have which weight; those of weight 0 are told in the label.

    Args:
        weights: (N,) at least 0, target probability over propensity.

    Raises:
        ValueError: no weights, or one that is negative or no number.
    """
    if not len(weights) or not np.all(np.isfinite(weights)) or np.any(weights < 0.0):
        raise ValueError("expected weights of at least 0, one a decision")
    figure, axes = new_plot(2.8)
    positive = weights[weights > 0.0]  # (M,)
    if len(positive):
        low, high = float(positive.min()), float(positive.max())
        edges = np.geomspace(min(0.99 * low, 0.1), max(1.01 * high, 10.0), _BINS + 1)
        counts, _ = np.histogram(positive, edges)
        axes.stairs(counts, edges, fill=True, color=COLOURS[0], label="decisions")
        axes.set_yscale("symlog", linthresh=1.0)
    axes.axvline(1.0, color=GREY, linestyle="--", label="weight 1: as logged")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(number)
    axes.yaxis.set_major_formatter(number)
    zeros = int(np.count_nonzero(weights == 0.0))
    axes.set_ylabel("decisions")
    axes.set_xlabel(
        f"importance weight\nn = {len(weights):,}, of which {zeros:,} weigh 0;"
        f" effective size {effective_size(weights):,.0f}"
    )
    add_legend(figure, axes)
    return figure
