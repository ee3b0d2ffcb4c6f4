"""Plots: values, allocation, lift and weights, as SVG for a page or as PNG for a run."""

from experiments.plots.allocation import Allocation, allocation_of, draw_allocation
from experiments.plots.lift import LiftCurve, draw_lift
from experiments.plots.style import to_png, to_svg
from experiments.plots.value import Interval, draw_values
from experiments.plots.weights import draw_weights

__all__ = [
    "Allocation", "Interval", "LiftCurve", "allocation_of", "draw_allocation", "draw_lift",
    "draw_values", "draw_weights", "to_png", "to_svg",
]  # fmt: skip
